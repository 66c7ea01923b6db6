"""From a frame to a network's input: the one copy, used in training, calibration, bench and run.

Pixels map to ``(pixel - 128) / 128``. That is a power of two, so the INT8 input of a quantized
network (scale 1/128, zero point 0) is ``pixel - 128`` exactly and no rounding differs between the
formats.

OpenCV is imported where it is used: training on arrays needs none.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from edge_fer.errors import ModelError

PIXEL_OFFSET = 128
PIXEL_SCALE = 1 / 128
COLORS = ("gray", "gray3", "rgb")

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a network expects of a face crop.

    Attributes:
        height_px: Input height.
        width_px: Input width.
        color: ``gray`` (one channel), ``gray3`` (gray three times) or ``rgb``.
        crop_scale: Side of the square crop over the longer side of the detector's box. 1.02 is what
            FER2013's crops have: on 500 of its faces, seed 0, the boxes of Haar and of YuNet have
            their centre in the middle and a median longer side of 0.98 and 0.99 of the picture.
    """

    height_px: int = 48
    width_px: int = 48
    color: str = "gray"
    crop_scale: float = 1.02

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px, self.crop_scale) <= 0:
            raise ModelError("preprocessing: sizes and crop_scale must be above 0")
        if self.color not in COLORS:
            raise ModelError(f"preprocessing: color {self.color!r}; known: {', '.join(COLORS)}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Preprocessing":
        """Reads what ``to_dict`` wrote; raises ``ModelError`` on unknown or missing keys."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ModelError(f"preprocessing has {sorted(values)}; expected {sorted(names)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, for a manifest."""
        return asdict(self)

    def face_pixels(self, image: np.ndarray, box: Box) -> np.ndarray:
        """Cuts a face out of a frame.

        Args:
            image: uint8 ``[H, W]`` gray or ``[H, W, 3]`` BGR.
            box: Detector's face box ``(x, y, w, h)`` in pixels; it may reach over the border.

        Returns:
            What ``fit`` gives; pixels from outside the frame repeat its border, and are black if
            all of them are.
        """
        return self.fit(_square_crop(image, box, self.crop_scale))

    def fit(self, crop: np.ndarray) -> np.ndarray:
        """Gives a face crop the network's size and colours.

        Args:
            crop: uint8 ``[H, W]`` gray or ``[H, W, 3]`` BGR. Areas are averaged when it shrinks.

        Returns:
            uint8 ``[height_px, width_px]`` for ``gray``, else ``[height_px, width_px, 3]``.
        """
        if crop.ndim == 3 and self.color != "rgb":
            import cv2

            crop = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
        pixels = self._resize(crop)
        if self.color == "gray":
            return pixels
        if pixels.ndim == 2:
            return np.repeat(pixels[:, :, np.newaxis], 3, axis=2)
        return np.ascontiguousarray(pixels[:, :, ::-1])

    def _resize(self, crop: np.ndarray) -> np.ndarray:
        size = (self.width_px, self.height_px)
        if crop.shape[1::-1] == size:
            return crop
        import cv2

        shrinks = crop.shape[0] > self.height_px
        return cv2.resize(crop, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


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
    left, top = round(x + w / 2 - side / 2), round(y + h / 2 - side / 2)
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
