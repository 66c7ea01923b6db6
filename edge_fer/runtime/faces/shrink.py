"""The small pictures of a frame: shrunk once, for the detector and for the tracker."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge_fer.preprocess import Box

#: Longest side of the gray picture that faces are followed in.
FOLLOW_PX = 320
_SLOW_AREA = 3


@dataclass(frozen=True, slots=True)
class Small:
    """A view of a frame, shrunk. The arrays are overwritten two calls later.

    Attributes:
        image: uint8 BGR ``[h, w, 3]`` or gray ``[h, w]``.
        gray: uint8 gray, for the tracker; its longest side is at most ``FOLLOW_PX``.
        scale: Pixels of ``image`` per pixel of the frame.
        gray_scale: Pixels of ``gray`` per pixel of the frame.
        offset: Where the view begins in the frame, ``(x, y)`` in pixels.
    """

    image: np.ndarray
    gray: np.ndarray
    scale: float
    gray_scale: float
    offset: tuple[int, int]


class Shrinker:
    """Makes small pictures in memory that is used again.

    Args:
        longest_px: Longest side of the detector's picture; a smaller view stays as it is. Beyond
            ``FOLLOW_PX`` it is made for itself, by ``for_detector``.
    """

    def __init__(self, longest_px: int) -> None:
        self._longest_px = longest_px
        self._buffers: dict[str, np.ndarray] = {}
        self._odd = False

    def __call__(self, view: np.ndarray, offset: tuple[int, int] = (0, 0)) -> Small:
        """Shrinks a view of a frame.

        Args:
            view: uint8 BGR ``[H, W, 3]`` or gray ``[H, W]``.
            offset: Where it begins in its frame.
        """
        self._odd = not self._odd
        image = self._shrink("image", view, min(self._longest_px, FOLLOW_PX))
        gray = image
        if image.ndim == 3:
            gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY, dst=self._buffer("gray", image.shape))
        if np.shares_memory(gray, view):
            gray = gray.copy()
        scale = max(gray.shape) / max(view.shape[:2])
        return Small(image, gray, scale, scale, offset)

    def for_detector(self, view: np.ndarray, small: Small) -> Small:
        """Returns a view's small picture with ``image`` as large as the detector's."""
        if self._longest_px <= FOLLOW_PX:
            return small
        image = self._shrink("detector", view, self._longest_px)
        return replace(small, image=image, scale=max(image.shape[:2]) / max(view.shape[:2]))

    def _shrink(self, name: str, image: np.ndarray, longest_px: int) -> np.ndarray:
        height, width = image.shape[:2]
        factor = max(height, width) / longest_px
        if factor <= 1:
            return image
        size = (max(1, round(width / factor)), max(1, round(height / factor)))
        if factor > _SLOW_AREA:  # averaging over so many pixels costs more than it gives
            image = cv2.resize(image, (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_LINEAR)
        shape = (size[1], size[0], *image.shape[2:])
        return cv2.resize(
            image, size, dst=self._buffer(name, shape, image.ndim), interpolation=cv2.INTER_AREA
        )

    def _buffer(self, name: str, shape: tuple[int, ...], dimensions: int = 2) -> np.ndarray:
        """Returns memory for a picture, another one than in the call before."""
        name = f"{name} {self._odd}"
        buffer = self._buffers.get(name)
        shape = shape[:dimensions]
        if buffer is None or buffer.shape != shape:
            buffer = self._buffers[name] = np.empty(shape, np.uint8)
        return buffer


def to_small(box: Box, scale: float, offset: tuple[int, int]) -> Box:
    """Brings a box of the frame into a small picture."""
    x, y, w, h = box
    return (x - offset[0]) * scale, (y - offset[1]) * scale, w * scale, h * scale
