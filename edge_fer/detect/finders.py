"""Detectors of all kinds as one: a picture in, faces with scores out, best first."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_fer.preprocess import PIXEL_OFFSET, normalise
from edge_fer.runtime.engines import LiteRtEngine
from edge_fer.runtime.faces.decode import Faces, decode_faces
from edge_fer.runtime.faces.detectors import Detection, Detector, HaarDetector, YuNetDetector

#: Takes uint8 gray ``[H, W]``, sides multiples of 32.
Finder = Callable[[np.ndarray], Faces]
#: Weakest faces that are asked for, so that precision can be drawn over recall.
WEAKEST = 0.02


def tflite_finder(file: Path) -> Finder:
    """Opens a detector's ``.tflite``, float or INT8.

    Raises:
        ModelError: LiteRT cannot load it.
    """
    engine = LiteRtEngine(file.read_bytes(), file.name, 1)
    is_float = engine.input.dtype == "float32"

    def find(image_HW: np.ndarray) -> Faces:
        shape = (1, *image_HW.shape, 1)
        if engine.input.shape != shape:
            engine.resize(shape)
        shifted = (image_HW.astype(np.int16) - PIXEL_OFFSET).astype(np.int8)
        x = normalise(image_HW) if is_float else shifted
        step = 1.0 if is_float else engine.output.scale
        return decode_faces(engine(x.reshape(shape))[0], step=step, min_score=WEAKEST)

    return find


def yunet_finder(model: Path) -> Finder:
    """Opens YuNet, which sees pictures at the size that they have.

    Raises:
        ModelError: The model cannot be used.
    """
    return _finder(YuNetDetector(model, 0, WEAKEST))


def haar_finder() -> Finder:
    """Opens OpenCV's cascade for faces of any size; it has no scores: all are 1.

    Raises:
        ModelError: OpenCV 5 has none.
    """
    return _finder(HaarDetector(0.0))


def _finder(detector: Detector) -> Finder:
    return lambda image_HW: _faces(detector.detect(image_HW))


def _faces(found: list[Detection]) -> Faces:
    found = sorted(found, key=lambda face: -face.score)
    points = [face.landmarks or ((np.nan, np.nan),) * 5 for face in found]
    return Faces(
        boxes_N4=np.array([face.box for face in found], float).reshape(-1, 4),
        points_N52=np.array(points, float).reshape(-1, 5, 2),
        scores_N=np.array([face.score for face in found], float),
    )
