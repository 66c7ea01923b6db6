"""From a photo and a detected face to the crop a network was trained on: the papers' pipelines.

``PIPELINES`` says what each paper does to a face, and ``face_crop`` does it. Where a paper leaves a
number open, the entry says whose it is. This is how datasets are prepared; a network's own input
size and colours stay with ``preprocess.Preprocessing``.

Points are fractions: (0, 0) is the upper left corner of the picture, (1, 1) the lower right one,
so that the centre of pixel i of W is at (i + 0.5) / W. Boxes are pixels, as detectors give them.
Landmarks come in the order of iBUG 300-W: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth
48-67. "Left" is the picture's left.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from edge_fer.errors import DataError
from edge_fer.preprocess import COLORS, Box

INTERPOLATIONS = {
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}
_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)


@dataclass(frozen=True, kw_only=True)
class FacePipeline:
    """How a paper makes a network's input out of a photo.

    Attributes:
        detector: What the paper finds faces with, empty if it takes the dataset's own crops.
        size_px: Side of the result; 0 keeps the crop's own size.
        color: ``gray``, ``gray3`` (gray three times) or ``rgb``.
        interpolation: Of every resize: ``bilinear``, ``bicubic`` or ``area``.
        photo_px: The photo is resized to a square of this side before detection; 0 keeps it.
        clahe_clip: Clip limit of contrast-limited adaptive histogram equalization of the gray
            photo before detection; 0 is none.
        clahe_tiles: Tiles per side of that equalization.
        margin: Side of the crop over the detector's box.
        square: Crop a square on the longer side of the box; else the box is stretched into one.
        eyes: Where the eye centres go in an aligned crop: height of both, and distance of each from
            the nearer side, as fractions; None if the paper does not align.
    """

    detector: str = ""
    size_px: int = 0
    color: str = "gray"
    interpolation: str = "bilinear"
    photo_px: int = 0
    clahe_clip: float = 0.0
    clahe_tiles: int = 8
    margin: float = 1.0
    square: bool = True
    eyes: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.color not in COLORS:
            raise DataError(f"face pipeline: color {self.color!r}; known: {', '.join(COLORS)}")
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise DataError(f"face pipeline: interpolation {self.interpolation!r}; known: {known}")
        if self.clahe_clip and self.color == "rgb":
            raise DataError("face pipeline: CLAHE is for gray pictures")
        if self.margin <= 0:
            raise DataError("face pipeline: margin must be above 0")
        if self.eyes and not (0 < self.eyes[0] < 1 and 0 < self.eyes[1] < 0.5):
            raise DataError(f"face pipeline: eyes at {self.eyes} are not apart inside the picture")


#: Where FER2013's faces have their eyes: medians of 500 Training faces, seed 0, by
#: ``landmarks.find_landmarks``. No paper states its own.
_EYES = (0.385, 0.31)
PIPELINES: Mapping[str, FacePipeline] = {
    # "Face detection and localisation", "face alignment", 48x48x1; detector and resize are ours.
    "arch": FacePipeline(detector="haar", size_px=48, interpolation="area", eyes=_EYES),
    # Datasets' own crops; 120 is its commonest size (48, 128 and 180 occur), resize is ours.
    "emonas": FacePipeline(size_px=120, color="rgb", interpolation="area"),
    # "Dlib frontal face detector", "face alignment", "48x48 using bicubic interpolation".
    "moeffnet": FacePipeline(
        detector="dlib-frontal", size_px=48, color="rgb", interpolation="bicubic", eyes=_EYES
    ),
    # Datasets' own crops, resized inside the model.
    "patt-lite": FacePipeline(size_px=224, color="rgb"),
    # Gray three times, 300x300, CLAHE, SSD, box to 160x160, bilinear; CLAHE's two numbers are ours.
    "part-ensemble": FacePipeline(
        detector="ssd", size_px=160, color="gray3", photo_px=300, clahe_clip=2.0, square=False
    ),
}


def prepare_photo(image: np.ndarray, pipeline: FacePipeline) -> np.ndarray:
    """Does what comes before detection: colours, size and contrast of the whole photo.

    Args:
        image: uint8 ``[H, W]`` gray or ``[H, W, 3]`` BGR.
        pipeline: One of ``PIPELINES``, or your own.

    Returns:
        uint8 ``[H, W]`` for ``gray``, BGR ``[H, W, 3]`` for ``rgb``, and for ``gray3`` the gray
        picture three times, ``[H, W, 3]``.
    """
    if pipeline.color == "rgb":
        image = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    elif image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    image = _resize(image, pipeline.photo_px, pipeline)
    if pipeline.clahe_clip:
        tiles = (pipeline.clahe_tiles, pipeline.clahe_tiles)
        image = cv2.createCLAHE(pipeline.clahe_clip, tiles).apply(image)
    return np.dstack([image] * 3) if pipeline.color == "gray3" else image


def face_crop(
    photo: np.ndarray,
    pipeline: FacePipeline,
    *,
    box: Box | None = None,
    eyes_22: np.ndarray | None = None,
) -> np.ndarray:
    """Cuts the face out of a prepared photo.

    Args:
        photo: What ``prepare_photo`` gave.
        pipeline: The same as there.
        box: Detector's box ``(x, y, w, h)`` in pixels of ``photo``; None takes all of it. Not used
            where the pipeline aligns.
        eyes_22: Eye centres as fractions, left first; a pipeline that aligns needs them.

    Returns:
        uint8 ``[S, S]`` or ``[S, S, 3]`` RGB (gray three times for ``gray3``); pixels from outside
        the photo repeat its border.

    Raises:
        DataError: The pipeline aligns and there are no two different eyes.
    """
    if pipeline.eyes is None:
        height, width = photo.shape[:2]
        crop = _cut_box(photo, box or (0.0, 0.0, float(width), float(height)), pipeline)
    elif eyes_22 is None:
        raise DataError("face pipeline: alignment needs the centres of the eyes")
    else:
        crop = align_eyes(photo, eyes_22, pipeline.eyes)
    crop = _resize(crop, pipeline.size_px, pipeline)
    return np.ascontiguousarray(crop[:, :, ::-1]) if crop.ndim == 3 else crop


def eye_centres(landmarks_68_2: np.ndarray) -> np.ndarray:
    """Returns the means of the six points around each eye, ``[2, 2]``, left first."""
    return np.stack([landmarks_68_2[eye].mean(axis=0) for eye in (_LEFT_EYE, _RIGHT_EYE)])


def align_eyes(photo: np.ndarray, eyes_22: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    """Turns a face upright and cuts a square with the eyes at their place, at the photo's scale.

    Args:
        photo: uint8 ``[H, W]`` or ``[H, W, C]``.
        eyes_22: Eye centres as fractions, left first.
        place: Height of both eyes and distance of each from the nearer side, fractions.

    Returns:
        uint8 ``[S, S]`` or ``[S, S, C]``; a similarity transform of the photo, border repeated.

    Raises:
        DataError: The eyes are at the same place.
    """
    eyes_px = eyes_22 * np.array(photo.shape[1::-1]) - 0.5
    apart_px = float(np.hypot(*(eyes_px[1] - eyes_px[0])))
    if not apart_px > 0:
        raise DataError("face pipeline: both eyes are at the same place")
    height, inset = place
    side_px = max(1, round(apart_px / (1 - 2 * inset)))
    targets_px = np.array([[inset, height], [1 - inset, height]]) * side_px - 0.5
    return cv2.warpAffine(
        photo,
        similarity(eyes_px, targets_px),
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


def _cut_box(photo: np.ndarray, box: Box, pipeline: FacePipeline) -> np.ndarray:
    x, y, w, h = box
    sides = (max(w, h), max(w, h)) if pipeline.square else (w, h)
    width, height = (max(1, round(pipeline.margin * side)) for side in sides)
    shift = np.array([[1, 0, (width - w) / 2 - x], [0, 1, (height - h) / 2 - y]])
    return cv2.warpAffine(photo, np.rint(shift), (width, height), borderMode=cv2.BORDER_REPLICATE)


def _resize(image: np.ndarray, side_px: int, pipeline: FacePipeline) -> np.ndarray:
    if not side_px or image.shape[:2] == (side_px, side_px):
        return image
    method = INTERPOLATIONS[pipeline.interpolation]
    return cv2.resize(image, (side_px, side_px), interpolation=method)
