"""Where faces are looked for, and which of them count."""

import math
from collections.abc import Sequence

import numpy as np

from edge_fer.preprocess import Box
from edge_fer.runtime.faces.detectors import Detection

#: Longest side of a detector's picture, for a video and for a photo.
VIDEO_PX, PHOTO_PX = 384, 640
#: Side of the smallest face, in pixels of its own picture, that YuNet finds reliably: all of 16
#: frontal faces at 20 pixels, 13 at 16, none at 12.
SMALLEST_SEEN_PX = 20


def view_of(image: np.ndarray, roi: Box | None) -> tuple[np.ndarray, tuple[int, int]]:
    """Cuts out the region to look at, without a copy.

    Args:
        image: uint8 ``[H, W]`` or ``[H, W, 3]``.
        roi: As ``Settings.roi``.

    Returns:
        A view of the image and where it begins, ``(x, y)`` in pixels; at least one pixel, also if
        the region is outside of the image.
    """
    if roi is None:
        return image, (0, 0)
    height, width = image.shape[:2]
    units = (width, height) if max(roi) <= 1 else (1, 1)
    left, right = _span(roi[0] * units[0], roi[2] * units[0], width)
    top, bottom = _span(roi[1] * units[1], roi[3] * units[1], height)
    return image[top:bottom, left:right], (left, top)


def _span(first: float, length: float, limit: int) -> tuple[int, int]:
    start = min(round(first), limit - 1)
    return start, min(max(round(first + length), start + 1), limit)


def smallest_px(min_face: float, shape: Sequence[int]) -> float:
    """Returns ``Settings.min_face`` in pixels of a frame of this shape ``(H, W, ...)``."""
    return min_face * min(shape[:2]) if min_face < 1 else min_face


def detect_px(width_px: int, min_px: float, longest_px: int, *, photo: bool) -> int:
    """Returns the longest side that the detector's picture should have.

    Args:
        width_px: ``Settings.detect_width_px``; 0 chooses.
        min_px: Smallest face that is asked for, pixels of the frame; 0 is any.
        longest_px: Of the view.
        photo: Whether it is a photo.
    """
    if width_px:
        return width_px
    usual = PHOTO_PX if photo else VIDEO_PX
    if not min_px:
        return usual
    return max(usual, min(longest_px, round(longest_px * SMALLEST_SEEN_PX / min_px)))


def place(found: Detection, scale: float, offset: tuple[int, int]) -> Detection:
    """Brings a detection from a small picture into the frame."""
    if scale == 1 and offset == (0, 0):
        return found
    x, y, w, h = found.box
    left, top = offset
    points = found.landmarks and tuple(
        (a / scale + left, b / scale + top) for a, b in found.landmarks
    )
    return Detection((x / scale + left, y / scale + top, w / scale, h / scale), found.score, points)


def is_face(box: Box, min_px: float) -> bool:
    """Whether a box is one at all, and its longer side has at least so many pixels."""
    return all(map(math.isfinite, box)) and min(box[2:]) > 0 and max(box[2:]) >= min_px


def touches_border(box: Box, shape: Sequence[int]) -> bool:
    """Whether a box reaches the border of a frame of this shape ``(H, W, ...)``."""
    x, y, w, h = box
    return x <= 0 or y <= 0 or x + w >= shape[1] or y + h >= shape[0]
