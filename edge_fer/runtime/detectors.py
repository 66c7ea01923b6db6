"""Face detectors behind one small interface."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from edge_fer.errors import ModelError
from edge_fer.preprocess import Box, Point

YUNET_VARIABLE = "EDGE_FER_YUNET"


@dataclass(frozen=True, slots=True)
class Detection:
    """A face.

    Attributes:
        box: ``(x, y, w, h)`` in pixels of the frame.
        score: The detector's confidence, 0..1; 1.0 where it has none.
        landmarks: Right eye, left eye, tip of the nose, right and left corner of the mouth, in
            pixels; right and left are the person's. None from a detector that finds none.
    """

    box: Box
    score: float
    landmarks: tuple[Point, ...] | None = None

    @property
    def eyes(self) -> tuple[Point, ...] | None:
        """Centres of the right and the left eye, if they are known."""
        return self.landmarks and self.landmarks[:2]


class Detector(Protocol):
    """Finds faces in a frame."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of a uint8 BGR ``[H, W, 3]`` frame, largest first."""


class HaarDetector:
    """The frontal-face cascade inside OpenCV 4's wheel: no download, frontal faces only.

    Args:
        min_face: Smallest face, as a fraction of the frame's shorter side.
    """

    def __init__(self, min_face: float = 0.1) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise ModelError(
                f"OpenCV {cv2.__version__} has no Haar cascades; use opencv-python-headless 4, "
                f"or give YuNet's model with --detector yunet:FILE"
            )
        file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        self._cascade = cv2.CascadeClassifier(str(file))
        if self._cascade.empty():
            raise ModelError(f"{file}: not a readable cascade")
        self._min_face = min_face

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of a uint8 BGR ``[H, W, 3]`` frame, largest first."""
        gray = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        side = max(24, round(self._min_face * min(gray.shape)))
        boxes = self._cascade.detectMultiScale(gray, 1.1, 5, minSize=(side, side))
        return _largest_first([Detection(_box(np.array(box)), 1.0) for box in boxes])


class YuNetDetector:
    """YuNet through ``cv2.FaceDetectorYN``; needs its model file (232 kB, Apache-2.0).

    Args:
        model: ``face_detection_yunet_2023mar.onnx``.
        width_px: Frames are scaled to this width before detection.
        min_score: Weakest detection that counts.
    """

    def __init__(self, model: Path, width_px: int = 320, min_score: float = 0.7) -> None:
        if not model.is_file():
            raise ModelError(f"{model}: no such file; give YuNet's model as yunet:FILE")
        try:
            self._net = cv2.FaceDetectorYN.create(str(model), "", (width_px, width_px), min_score)
        except cv2.error as error:
            raise ModelError(f"{model}: not a readable YuNet model") from error
        self._width_px, self._size = width_px, (0, 0)

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of a uint8 BGR ``[H, W, 3]`` frame, largest first."""
        scale = self._width_px / image.shape[1]
        size = (self._width_px, max(1, round(image.shape[0] * scale)))
        if size != self._size:
            self._net.setInputSize(size)
            self._size = size
        _, rows = self._net.detect(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        found = [] if rows is None else rows
        return _largest_first([_detection(row, scale) for row in found])


def open_detector(spec: str) -> Detector:
    """Opens a detector.

    Args:
        spec: ``haar``, ``yunet:FILE``, or ``auto``: YuNet if the environment variable
            ``EDGE_FER_YUNET`` names its model, else Haar.

    Raises:
        ModelError: Unknown detector, or its model is missing.
    """
    name, _, file = spec.partition(":")
    model = file or os.environ.get(YUNET_VARIABLE, "")
    if name == "haar" or (name == "auto" and not model):
        return HaarDetector()
    if name in {"yunet", "auto"}:
        return YuNetDetector(Path(model).expanduser())
    raise ModelError(f"unknown detector {spec!r}; known: auto, haar, yunet:FILE")


def _detection(row: np.ndarray, scale: float) -> Detection:
    """Reads a row of YuNet: box, five points, score."""
    points = (row[4:14] / scale).reshape(5, 2).tolist()
    landmarks = tuple((x, y) for x, y in points)
    return Detection(_box(row[:4] / scale), float(row[14]), landmarks)


def _box(values: np.ndarray) -> Box:
    x, y, w, h = (float(value) for value in values)
    return x, y, w, h


def _largest_first(detections: list[Detection]) -> list[Detection]:
    return sorted(detections, key=lambda face: -face.box[2] * face.box[3])
