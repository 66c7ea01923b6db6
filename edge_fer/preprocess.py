"""From a frame to a network's input: the one copy, used in training, calibration, bench and run.

A face is cut out of its frame (``face_pixels``), upright and with its eyes where the dataset had
them if the network asks for that and the detector saw the eyes; a dataset's crop comes as it is.
Both then go through ``fit``: gray, resize, equalise, channels.

Pixels map to ``(pixel - 128) / 128``. That is a power of two, so the INT8 input of a quantized
network (scale 1/128, zero point 0) is ``pixel - 128`` exactly and no rounding differs between the
formats.

Boxes and points are in pixels of the frame: (0, 0) is its upper left corner, and the centre of the
first pixel is at (0.5, 0.5). OpenCV is imported where it is used: training on arrays needs none.
"""

import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from edge_fer.errors import ModelError

PIXEL_OFFSET = 128
PIXEL_SCALE = 1 / 128
COLORS = ("gray", "gray3", "rgb", "flow")
INTERPOLATIONS = ("auto", "bilinear", "bicubic", "area")
#: Weightings of dynamic images, as ``edge_fer.dynamic_image`` has them.
CLIPS = ("bilen", "paper")
#: Where FER2013's faces have their eyes, as ``Preprocessing.eyes``: medians of its Training faces
#: by ``edge-fer data landmarks``. By YuNet, on 246 PrivateTest faces: 0.391 and 0.314.
FER2013_EYES = (0.385, 0.314)
#: An aligned crop is at most so many times wider or narrower than the box's. Beyond that the eyes
#: say little of the face's size: they come closer together as it turns away.
MOST_ZOOM = 4 / 3
_REQUIRED = {"height_px", "width_px", "color", "crop_scale"}
_CHUNK = 256
_MAX_THREADS = 8

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a network expects of a face crop.

    Attributes:
        height_px: Input height.
        width_px: Input width.
        color: ``gray`` (one channel), ``gray3`` (gray three times), ``rgb``, or ``flow``: u, v and
            strain of a clip, whose channels stay as they are.
        crop_scale: Side of the square crop over the longer side of the detector's box. 0.94 was
            chosen on FER2013's PublicTest: pasted into rooms, its faces get boxes that are 1.04
            (ours) to 1.07 (YuNet) times as wide as the dataset's crop.
        interpolation: Of the resize: ``bilinear``, ``bicubic``, ``area``, or ``auto``: area where
            the crop shrinks, else bilinear. A crop of twice the size or more is averaged down by a
            whole number first, so that no method skips pixels.
        clahe_clip: Clip limit of contrast-limited histogram equalisation of the gray face, 0 is
            none. It comes after the resize, where a tile is the same part of the face in the same
            number of pixels whatever the crop was: at 160 pixels, a 48-pixel copy of 300 LFW faces
            and its 200-pixel original differ by 6.8 gray levels on average, but by 16.3 if each is
            equalised at its own size (and by 3.0 without).
        clahe_tiles: Tiles per side of that equalisation.
        eyes: Where an aligned face has its eye centres: height of both, and distance of each from
            the nearer side, as fractions of the crop; None is no alignment. It acts on faces cut
            from a frame, and only where the detector gives their eyes: a dataset's crops are
            taken to be there already.
        clip: With ``flow``: the network takes dynamic images of clips, and this is their weighting,
            ``bilen`` or ``paper``; empty for optical flow, and for faces.
    """

    height_px: int = 48
    width_px: int = 48
    color: str = "gray"
    crop_scale: float = 0.94
    interpolation: str = "auto"
    clahe_clip: float = 0.0
    clahe_tiles: int = 8
    eyes: tuple[float, float] | None = None
    clip: str = ""

    def __post_init__(self) -> None:
        if not all(map(_is_count, (self.height_px, self.width_px, self.clahe_tiles))):
            raise ModelError("preprocessing: sizes and clahe_tiles must be whole numbers above 0")
        if not _is_number(self.crop_scale) or self.crop_scale <= 0:
            raise ModelError("preprocessing: crop_scale must be a number above 0")
        if self.color not in COLORS:
            raise ModelError(f"preprocessing: color {self.color!r}; known: {', '.join(COLORS)}")
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise ModelError(f"preprocessing: interpolation {self.interpolation!r}; known: {known}")
        if not _is_number(self.clahe_clip) or self.clahe_clip < 0:
            raise ModelError("preprocessing: clahe_clip must be a number, 0 or above")
        if self.clahe_clip and self.color in ("rgb", "flow"):
            raise ModelError("preprocessing: CLAHE is for gray and gray3")
        if self.eyes is not None and not _is_place_of_eyes(self.eyes):
            raise ModelError(f"preprocessing: eyes {self.eyes!r} are not apart inside the crop")
        if self.clip and (self.clip not in CLIPS or self.color != "flow"):
            known = ", ".join(CLIPS)
            raise ModelError(f"preprocessing: clip {self.clip!r}; known, with flow: {known}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Reads what ``to_dict`` wrote, also before the newer keys were there.

        Raises:
            ModelError: Unknown or missing keys, or values that make no sense.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or not _REQUIRED <= set(values) <= names:
            found = sorted(values) if isinstance(values, Mapping) else values
            raise ModelError(f"preprocessing has {found}; expected {sorted(names)}")
        eyes = values.get("eyes")
        return cls(**{**values, "eyes": tuple(eyes) if isinstance(eyes, list) else eyes})

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, for a manifest."""
        return asdict(self) | {"eyes": list(self.eyes) if self.eyes else None}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what ``fit`` gives."""
        size = (self.height_px, self.width_px)
        return size if self.color == "gray" else (*size, 3)

    def face_pixels(
        self, image: np.ndarray, box: Box, eyes: tuple[Point, ...] | None = None
    ) -> np.ndarray:
        """Cuts a face out of a frame.

        Args:
            image: uint8 ``[H, W]`` gray or ``[H, W, 3]`` BGR.
            box: Detector's face box ``(x, y, w, h)`` in pixels; it may reach over the border.
            eyes: Eye centres in pixels, the person's right one (on the left of a picture) first;
                None if they are not known. Used if the network wants aligned faces and the crop
                they give is about as large as the box's.

        Returns:
            What ``fit`` gives; pixels from outside the frame repeat its border, and are black if
            all of them are.

        Raises:
            ModelError: The network takes optical flow, which one frame does not have.
        """
        if self.color == "flow":
            raise ModelError("the network takes optical flow of clips, not faces")
        if self.eyes is not None and eyes is not None:
            box_side = self.crop_scale * max(box[2:])
            side = math.dist(*eyes) / (1 - 2 * self.eyes[1])
            if 0 < side <= MOST_ZOOM * box_side and box_side <= MOST_ZOOM * side:
                return self.fit(align_eyes(image, eyes, self.eyes, max(self.shape[:2])))
        return self.fit(_square_crop(image, box, self.crop_scale))

    def fit(self, crop: np.ndarray) -> np.ndarray:
        """Gives a face crop the network's size, contrast and colours.

        Args:
            crop: uint8 ``[H, W]`` gray or ``[H, W, 3]`` BGR; for ``flow``, ``[H, W, 3]`` of a flow.

        Returns:
            uint8 ``[height_px, width_px]`` for ``gray``, else ``[height_px, width_px, 3]``.

        Raises:
            ModelError: The network takes optical flow, and this is gray.
        """
        if self.color == "flow":
            if crop.ndim != 3:
                raise ModelError("the network takes optical flow of three channels, not gray faces")
            return self._resize(crop)
        if crop.ndim == 3 and self.color != "rgb":
            import cv2

            crop = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
        pixels = self._equalise(self._resize(crop))
        if self.color == "gray":
            return pixels
        if pixels.ndim == 2:
            return np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
        return np.ascontiguousarray(pixels[:, :, ::-1])

    def _resize(self, crop: np.ndarray) -> np.ndarray:
        height, width = crop.shape[:2]
        size = (self.width_px, self.height_px)
        if (width, height) == size:
            return crop
        import cv2

        method = self.interpolation
        if method == "auto":
            method = "area" if height > self.height_px else "bilinear"
        factor = min(width // self.width_px, height // self.height_px)
        if method != "area" and factor > 1:
            smaller = (width // factor, height // factor)
            crop = cv2.resize(crop, smaller, interpolation=cv2.INTER_AREA)
        methods = {
            "area": cv2.INTER_AREA,
            "bilinear": cv2.INTER_LINEAR,
            "bicubic": cv2.INTER_CUBIC,
        }
        return cv2.resize(crop, size, interpolation=methods[method])

    def _equalise(self, pixels: np.ndarray) -> np.ndarray:
        if not self.clahe_clip:
            return pixels
        import cv2

        tiles = (self.clahe_tiles, self.clahe_tiles)
        return cv2.createCLAHE(self.clahe_clip, tiles).apply(pixels)


def fit_all(images_NHW: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Fits the crops of a whole dataset, each as ``Preprocessing.fit`` does, on several threads.

    Args:
        images_NHW: uint8 gray ``[N, H, W]`` or BGR ``[N, H, W, 3]``.
        preprocessing: Of the network.

    Returns:
        uint8 ``[N, *preprocessing.shape]``, a new array. ``gray3`` holds three copies: where memory
        counts, fit to ``gray`` and repeat the channel of each batch.
    """
    fitted = np.empty((len(images_NHW), *preprocessing.shape), np.uint8)

    def fill(first: int) -> None:
        for index in range(first, min(first + _CHUNK, len(fitted))):
            fitted[index] = preprocessing.fit(images_NHW[index])

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, range(0, len(fitted), _CHUNK)))
    return fitted


def align_eyes(
    image: np.ndarray, eyes: tuple[Point, ...], place: tuple[float, float], enough_px: int
) -> np.ndarray:
    """Turns a face upright and cuts a square with the eyes at their place.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``.
        eyes: Centres in pixels, two different points, the one that comes to the left first.
        place: Height of both eyes and distance of each from the nearer side, fractions.
        enough_px: Side that is needed in the end. The square is at the image's scale, but that of a
            large face is averaged down by a whole number first, to between twice and four times
            this side, so that its cost does not grow with the face.

    Returns:
        uint8 ``[S, S]`` or ``[S, S, 3]``; a similarity transform of the image, border repeated.
    """
    import cv2

    height, inset = place
    side = math.dist(*eyes) / (1 - 2 * inset)
    factor = max(1, int(side / (2 * enough_px)))
    reach = side * math.hypot(0.5, max(height, 1 - height))
    around = factor * math.ceil(2 * reach / factor)
    corner = np.rint(np.mean(eyes, axis=0) - around / 2)
    region = _cut(image, int(corner[0]), int(corner[1]), around)
    if factor > 1:
        smaller = (around // factor, around // factor)
        region = cv2.resize(region, smaller, interpolation=cv2.INTER_AREA)
    sources_px = (np.array(eyes) - corner) / factor - 0.5
    side_px = max(1, round(side / factor))
    targets_px = np.array([[inset, height], [1 - inset, height]]) * side_px - 0.5
    return cv2.warpAffine(
        region,
        similarity(sources_px, targets_px),
        (side_px, side_px),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def similarity(sources_22: np.ndarray, targets_22: np.ndarray) -> np.ndarray:
    """Returns the rotation, scale and shift, float64 ``[2, 3]``, that take two points to two."""
    source, target = (complex(*(pair[1] - pair[0])) for pair in (sources_22, targets_22))
    turn = target / source
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, targets_22[0] - linear @ sources_22[0]])


def normalise(pixels: np.ndarray) -> np.ndarray:
    """Maps uint8 pixels of any shape to float32 in -1 .. 127/128."""
    return (pixels.astype(np.float32) - PIXEL_OFFSET) * np.float32(PIXEL_SCALE)


def to_tensor_shape(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Lays out ``[H, W]`` or ``[H, W, 3]`` as ``[1, H, W, C]`` or ``[1, C, H, W]``."""
    if x.ndim == 3 and shape[1] == x.shape[2]:
        x = np.ascontiguousarray(x.transpose(2, 0, 1))
    return x.reshape(shape)


def _square_crop(image: np.ndarray, box: Box, scale: float) -> np.ndarray:
    x, y, w, h = box
    side = max(1, round(scale * max(w, h)))
    return _cut(image, round(x + w / 2 - side / 2), round(y + h / 2 - side / 2), side)


def _cut(image: np.ndarray, left: int, top: int, side: int) -> np.ndarray:
    """Cuts a square that may reach over the border, which is repeated."""
    height, width = image.shape[:2]
    rows = slice(max(0, top), max(0, min(height, top + side)))
    columns = slice(max(0, left), max(0, min(width, left + side)))
    crop = image[rows, columns]
    if crop.size == 0:
        return np.zeros((side, side), np.uint8)
    missing = (
        max(0, -top),
        max(0, top + side - height),
        max(0, -left),
        max(0, left + side - width),
    )
    if not any(missing):
        return crop
    import cv2

    return cv2.copyMakeBorder(crop, *missing, cv2.BORDER_REPLICATE)


def _is_number(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_place_of_eyes(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2 or not all(map(_is_number, value)):
        return False
    height, inset = value
    return bool(0 < height < 1 and 0 < inset < 0.5)
