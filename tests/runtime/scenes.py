"""Scenes in which textured squares move like faces, and a detector that knows where they are."""

import cv2
import numpy as np

from edge_fer.runtime.faces.detectors import Detection
from edge_fer.runtime.frame import Frame

WIDTH, HEIGHT = 320, 240


def texture(seed: int, height: int, width: int) -> np.ndarray:
    """Smooth noise, uint8 ``[height, width]`` of full contrast."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, None, 4)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


BACKGROUND = texture(99, HEIGHT, WIDTH) // 3 + 80


def scene(boxes, seeds=None) -> np.ndarray:
    """Draws a texture into each box, the later ones in front; uint8 ``[HEIGHT, WIDTH, 3]``."""
    canvas = BACKGROUND.copy()
    for box, seed in zip(boxes, seeds or range(len(boxes)), strict=True):
        x, y, w, h = box
        face = texture(seed, 64, 64)
        place = np.array([[w / 64, 0, x], [0, h / 64, y]])
        cv2.warpAffine(face, place, (WIDTH, HEIGHT), canvas, borderMode=cv2.BORDER_TRANSPARENT)
    return cv2.cvtColor(canvas, cv2.COLOR_GRAY2BGR)


def frame(index: int, image: np.ndarray, fps: float = 30.0) -> Frame:
    """The frame of a video."""
    return Frame(index, index / fps, image, 0.0)


def found(*boxes) -> list[Detection]:
    """Detections without landmarks."""
    return [Detection(tuple(map(float, box)), 0.9) for box in boxes]


class Told:
    """A detector that is told what to find, and counts how often it is asked."""

    def __init__(self, *boxes):
        self.boxes, self.asked, self.error = list(boxes), 0, None

    def detect(self, image):
        self.asked += 1
        self.shape = image.shape
        if self.error is not None:
            raise self.error
        return found(*self.boxes)
