"""Disturbances of face crops as a camera, a codec or a detector makes them, in steps.

All sizes are fractions of the face's width, so that they mean the same at any resolution. Pixels
from outside a crop repeat its border.

Shape suffixes: H height, W width (pixels).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

Image = np.ndarray
Rng = np.random.Generator
READ_NOISE_LEVELS = 2.0
_GRAY_LEVELS = 255.0


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """One way to spoil a face.

    Attributes:
        unit: What a level counts.
        levels: From hardly to badly.
        apply: From a uint8 face ``[H, W]`` or ``[H, W, C]``, a level and a source of randomness to
            a face of the same shape.
    """

    unit: str
    levels: tuple[float, ...]
    apply: Callable[[Image, float, Rng], Image]


def _blur(face_HW: Image, percent: float, rng: Rng) -> Image:
    sigma_px = percent / 100 * face_HW.shape[1]
    return cv2.GaussianBlur(face_HW, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)


def _motion_blur(face_HW: Image, percent: float, rng: Rng) -> Image:
    """A straight line of a random direction, of the length that the face moves in one exposure."""
    length_px = percent / 100 * face_HW.shape[1]
    side = 2 * math.ceil(length_px / 2) + 3
    angle = rng.uniform(0, math.pi)
    step = np.array([math.cos(angle), math.sin(angle)]) * length_px / 2
    ends = ((side // 2 + sign * step) * 256 for sign in (-1, 1))
    first, last = (tuple(np.rint(end).astype(int).tolist()) for end in ends)
    kernel = np.zeros((side, side), np.float32)
    cv2.line(kernel, first, last, 1.0, lineType=cv2.LINE_8, shift=8)
    return cv2.filter2D(face_HW, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def _noise(face_HW: Image, sigma_levels: float, rng: Rng) -> Image:
    return _as_uint8(face_HW + rng.normal(0, sigma_levels, face_HW.shape))


def _dark(face_HW: Image, stops: float, rng: Rng) -> Image:
    """Less light, the same sensor: its read noise stays where it was."""
    return _noise(face_HW * 2.0**-stops, READ_NOISE_LEVELS, rng)


def _jpeg(face_HW: Image, quality: float, rng: Rng) -> Image:
    _, data = cv2.imencode(".jpg", face_HW, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))


def _occlusion(face_HW: Image, percent: float, rng: Rng) -> Image:
    """A mid-gray square of that share of the face, anywhere inside."""
    height, width = face_HW.shape[:2]
    share = math.sqrt(percent / 100)
    hole_h, hole_w = round(share * height), round(share * width)
    top, left = (int(rng.integers(0, room + 1)) for room in (height - hole_h, width - hole_w))
    covered = face_HW.copy()
    covered[top : top + hole_h, left : left + hole_w] = 128
    return covered


def _small(face_HW: Image, width_px: float, rng: Rng) -> Image:
    """A face so many pixels wide, enlarged to the crop's size."""
    height, width = face_HW.shape[:2]
    factor = min(1.0, width_px / width)
    size = max(1, round(factor * width)), max(1, round(factor * height))
    few = cv2.resize(face_HW, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR)


def _rotation(face_HW: Image, degrees: float, rng: Rng) -> Image:
    return _warp(face_HW, degrees=degrees * rng.choice((-1.0, 1.0)))


def _box_shift(face_HW: Image, percent: float, rng: Rng) -> Image:
    """A box beside the face, in a random direction."""
    angle = rng.uniform(0, 2 * math.pi)
    shift = percent / 100 * np.array([math.cos(angle), math.sin(angle)])
    return _warp(face_HW, shift=(float(shift[0]), float(shift[1])))


def _box_wide(face_HW: Image, percent: float, rng: Rng) -> Image:
    return _warp(face_HW, zoom=1 / (1 + percent / 100))


def _box_tight(face_HW: Image, percent: float, rng: Rng) -> Image:
    return _warp(face_HW, zoom=1 / (1 - percent / 100))


def _warp(
    face_HW: Image,
    degrees: float = 0.0,
    zoom: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Image:
    height, width = face_HW.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, zoom)
    matrix[:, 2] += np.array(shift) * (width, height)
    size, border = (width, height), cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(face_HW, matrix, size, borderMode=border))


def _as_uint8(face_HW: Image) -> Image:
    levels_HW: Image = np.rint(np.clip(face_HW, 0, _GRAY_LEVELS)).astype(np.uint8)
    return levels_HW


DISTURBANCES: Mapping[str, Disturbance] = {
    "blur": Disturbance(unit="sigma, % of the width", levels=(1, 2, 4, 6), apply=_blur),
    "motion blur": Disturbance(
        unit="path, % of the width", levels=(5, 10, 15, 25), apply=_motion_blur
    ),
    "noise": Disturbance(unit="sigma, gray levels", levels=(5, 10, 20, 40), apply=_noise),
    "dark": Disturbance(unit="stops", levels=(1, 2, 3, 4), apply=_dark),
    "JPEG": Disturbance(unit="quality", levels=(50, 30, 15, 5), apply=_jpeg),
    "occlusion": Disturbance(unit="% of the face", levels=(5, 10, 20, 30), apply=_occlusion),
    "small face": Disturbance(unit="pixels wide", levels=(36, 24, 16, 12), apply=_small),
    "rotation": Disturbance(unit="degrees", levels=(10, 20, 30, 45), apply=_rotation),
    "box aside": Disturbance(unit="% of the width", levels=(5, 10, 15, 20), apply=_box_shift),
    "box too wide": Disturbance(unit="% of the width", levels=(10, 20, 30, 50), apply=_box_wide),
    "box too tight": Disturbance(unit="% of the width", levels=(5, 10, 20, 30), apply=_box_tight),
}


def disturb(images_NHW: np.ndarray, name: str, level: float, seed: int = 0) -> np.ndarray:
    """Spoils every face; the same arguments give the same faces.

    Args:
        images_NHW: uint8 ``[N, H, W]`` or ``[N, H, W, C]``.
        name: In ``DISTURBANCES``.
        level: In its unit.
        seed: Of the directions, places and noise.

    Returns:
        uint8 of the same shape.
    """
    rng = np.random.default_rng([seed, *name.encode()])
    apply = DISTURBANCES[name].apply
    return np.stack([apply(image, level, rng) for image in images_NHW])
