"""Face detectors behind one small interface."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from edge_fer.errors import ModelError
from edge_fer.fetch import cached_model
from edge_fer.preprocess import Box, Point

YUNET_VARIABLE = "EDGE_FER_YUNET"
#: Name of the detector in the package.
OWN = "edge-fer"
KNOWN = "auto, edge-fer, edge-fer:160, haar, yunet, yunet:FILE, FILE"
#: Longest side of the picture that a detector usually gets.
USUAL_PX = 320
_VERY_SMALL_PX = 160
#: In a lower picture OpenCV 4.14 reads memory that nobody wrote, and finds faces there.
_LEAST_PX = 64


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
        """Returns the faces of a picture, largest first.

        Args:
            image: uint8 BGR ``[H, W, 3]`` or gray ``[H, W]``.
        """


class HaarDetector:
    """The frontal-face cascade inside OpenCV 4's wheel: slow, frontal faces only.

    Args:
        min_face: Smallest face, as a fraction of the frame's shorter side.
    """

    def __init__(self, min_face: float = 0.1) -> None:
        if not hasattr(cv2, "CascadeClassifier"):
            raise ModelError(
                f"OpenCV {cv2.__version__} has no Haar cascades; use opencv-python-headless 4, "
                f"or --detector edge-fer"
            )
        file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        self._cascade = cv2.CascadeClassifier(str(file))
        if self._cascade.empty():
            raise ModelError(f"{file}: not a readable cascade")
        self._min_face = min_face

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of a uint8 BGR ``[H, W, 3]`` or gray ``[H, W]`` frame."""
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        gray = cv2.equalizeHist(gray)
        side = max(24, round(self._min_face * min(gray.shape)))
        boxes = self._cascade.detectMultiScale(gray, 1.1, 5, minSize=(side, side))
        return largest_first([Detection(_box(np.array(box)), 1.0) for box in boxes])


class YuNetDetector:
    """YuNet through ``cv2.FaceDetectorYN``; needs its model file (233 kB, MIT).

    Args:
        model: ``face_detection_yunet_2023mar.onnx``.
        width_px: Pictures are scaled until their longer side has so many pixels; 0 leaves them as
            they are, unless they are very small.
        min_score: Weakest detection that counts.
    """

    def __init__(self, model: Path, width_px: int = USUAL_PX, min_score: float = 0.7) -> None:
        if not model.is_file():
            raise ModelError(f"{model}: no such file; give YuNet's model as yunet:FILE")
        size = (USUAL_PX, USUAL_PX)
        try:
            self._net = cv2.FaceDetectorYN.create(str(model), "", size, min_score)
        except cv2.error as error:
            raise ModelError(f"{model}: not a readable YuNet model") from error
        self._width_px, self._size = width_px, (0, 0)

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of a uint8 BGR ``[H, W, 3]`` or gray ``[H, W]`` frame."""
        height, width = image.shape[:2]
        scale = picture_scale(image.shape, self._width_px)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        if size != (width, height):
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        rows = self._rows(image)
        return largest_first([_detection(row, scale) for row in rows])

    def _rows(self, image: np.ndarray) -> np.ndarray:
        """Runs the network; what is too narrow for it gets a black border."""
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        height, width = image.shape[:2]
        missing = max(0, _LEAST_PX - height), max(0, _LEAST_PX - width)
        if any(missing):
            image = cv2.copyMakeBorder(image, 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT)
        size = image.shape[1], image.shape[0]
        if size != self._size:
            self._net.setInputSize(size)
            self._size = size
        _, rows = self._net.detect(image)
        return np.empty((0, 15)) if rows is None else rows[np.isfinite(rows).all(1)]


def open_detector(spec: str = "auto", width_px: int = USUAL_PX, threads: int = 1) -> Detector:
    """Opens a detector.

    Args:
        spec: ``edge-fer``, the one in the package, or ``edge-fer:160`` and the like, whose pictures
            are so many pixels long; ``haar``; ``yunet:FILE``; ``yunet``, whose model is where the
            environment variable ``EDGE_FER_YUNET`` says, or where ``edge-fer fetch yunet`` put it;
            a path of a detector's bundle, or of YuNet's ``.onnx``; or ``auto``: YuNet where
            ``EDGE_FER_YUNET`` names its model, else ``edge-fer``.
        width_px: Longest side of the pictures, but for Haar; see ``picture_scale``.
        threads: Of one inference of ``edge-fer``.

    Raises:
        ModelError: Unknown detector, or its model is missing.
    """
    name, _, detail = spec.partition(":")
    if spec == "haar":
        return HaarDetector()
    if name == "yunet" or (spec == "auto" and os.environ.get(YUNET_VARIABLE)):
        return YuNetDetector(_yunet_model(detail), width_px)
    if spec in {"auto", OWN} or (name == OWN and detail.isdecimal() and int(detail)):
        return _open_bundle("", int(detail or width_px), threads)
    if spec.endswith(".onnx"):
        return YuNetDetector(Path(spec).expanduser(), width_px)
    if spec and Path(spec).expanduser().exists():
        return _open_bundle(spec, width_px, threads)
    raise ModelError(f"unknown detector {spec!r}; known: {KNOWN}")


def _open_bundle(bundle: str, width_px: int, threads: int) -> Detector:
    from edge_fer.runtime.faces.bundle_detector import SHIPPED, BundleDetector

    return BundleDetector(bundle or SHIPPED, width_px, threads)


def _yunet_model(file: str) -> Path:
    """Returns where YuNet's model should be: as told, or as fetched."""
    told = file or os.environ.get(YUNET_VARIABLE, "")
    model = Path(told).expanduser() if told else cached_model("yunet")
    if model is None:
        raise ModelError(
            "YuNet's model is not here: edge-fer fetch yunet, or --detector yunet:FILE"
        )
    return model


def picture_scale(shape: Sequence[int], width_px: int) -> float:
    """Returns by how much a picture is scaled for a network.

    Args:
        shape: ``(H, W, ...)``.
        width_px: Longest side that it should have; 0 leaves it as it is, unless it is very small.
    """
    longest = max(shape[:2])
    return (width_px or (longest if longest >= _VERY_SMALL_PX else USUAL_PX)) / longest


def _detection(row: np.ndarray, scale: float) -> Detection:
    """Reads a row of YuNet: box, five points, score."""
    points = (row[4:14] / scale).reshape(5, 2).tolist()
    landmarks = tuple((x, y) for x, y in points)
    return Detection(_box(row[:4] / scale), float(row[14]), landmarks)


def _box(values: np.ndarray) -> Box:
    x, y, w, h = (float(value) for value in values)
    return x, y, w, h


def largest_first(detections: list[Detection]) -> list[Detection]:
    """Sorts faces by the area of their boxes."""
    return sorted(detections, key=lambda face: -face.box[2] * face.box[3])
