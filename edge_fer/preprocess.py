"""From a frame to a network's input: the one copy, used in training, calibration, bench and run.

Pixels map to ``(pixel - 128) / 128``. That is a power of two, so the INT8 input of a quantized
network (scale 1/128, zero point 0) is ``pixel - 128`` exactly and no rounding differs between the
formats.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import cv2
import numpy as np

from edge_fer.errors import ModelError

PIXEL_OFFSET = 128
PIXEL_SCALE = 1 / 128

Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a network expects of a face crop.

    Attributes:
        height_px: Input height.
        width_px: Input width.
        channels: 1 (gray).
        crop_scale: Side of the square crop over the longer side of the detector's box. 1.02 is what
            FER2013's crops have: on 500 of its faces, seed 0, the boxes of Haar and of YuNet have
            their centre in the middle and a median longer side of 0.98 and 0.99 of the picture.
    """

    height_px: int = 48
    width_px: int = 48
    channels: int = 1
    crop_scale: float = 1.02

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px, self.crop_scale) <= 0:
            raise ModelError("preprocessing: sizes and crop_scale must be above 0")
        if self.channels != 1:
            raise ModelError(
                f"preprocessing: {self.channels} channels; this version reads 1 (gray)"
            )

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
            uint8 ``[height_px, width_px]``; pixels from outside the frame repeat its border.
        """
        crop = _square_crop(image, box, self.crop_scale)
        if crop.ndim == 3:
            crop = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY)
        return self.resize(crop)

    def resize(self, gray: np.ndarray) -> np.ndarray:
        """Resizes a gray crop ``[H, W]`` to the network's size, averaging areas when it shrinks."""
        size = (self.width_px, self.height_px)
        if gray.shape == size[::-1]:
            return gray
        shrinks = gray.shape[0] > self.height_px
        return cv2.resize(gray, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def normalise(pixels: np.ndarray) -> np.ndarray:
    """Maps uint8 pixels of any shape to float32 in -1 .. 127/128."""
    return (pixels.astype(np.float32) - PIXEL_OFFSET) * np.float32(PIXEL_SCALE)


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
    return cv2.copyMakeBorder(crop, *missing, cv2.BORDER_REPLICATE) if any(missing) else crop
