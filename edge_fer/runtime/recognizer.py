"""The device loop: frame in, faces with their expressions out, every stage timed."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from edge_fer.bundle import Bundle
from edge_fer.preprocess import Box, Point
from edge_fer.resources import find_resource
from edge_fer.runtime.classifier import Classifier, choose_file
from edge_fer.runtime.detectors import Detection, Detector, open_detector
from edge_fer.runtime.sources import Frame, Source
from edge_fer.runtime.tracking import Identities

DEFAULT_BUNDLE = "arch-1-fer2013"
STAGES = ("capture", "detect", "track", "preprocess", "classify", "post", "total")


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a frame.

    Attributes:
        id: Stays the same while the face stays in view.
        box: ``(x, y, w, h)`` in pixels.
        probabilities: float32 ``[K]``.
        labels: The vocabulary, in the order of ``probabilities``.
        landmarks: As the detector's ``Detection`` has them.
    """

    id: int
    box: Box
    probabilities: np.ndarray
    labels: tuple[str, ...]
    landmarks: tuple[Point, ...] | None = None

    @property
    def label(self) -> str:
        """The most probable expression."""
        return self.labels[int(self.probabilities.argmax())]

    @property
    def score(self) -> float:
        """Its probability."""
        return float(self.probabilities.max())

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values; ``landmarks`` only where the detector found them."""
        probabilities = zip(self.labels, self.probabilities.tolist(), strict=True)
        document = {
            "id": self.id,
            "box": [round(value, 1) for value in self.box],
            "label": self.label,
            "score": round(self.score, 4),
            "probabilities": {label: round(p, 4) for label, p in probabilities},
        }
        if self.landmarks:
            document["landmarks"] = [[round(x, 1), round(y, 1)] for x, y in self.landmarks]
        return document


@dataclass(frozen=True, slots=True)
class Result:
    """What was read in one frame.

    Attributes:
        frame: The frame.
        faces: Largest first.
        latency_ms: Milliseconds of each stage in ``STAGES``.
    """

    frame: Frame
    faces: tuple[Face, ...]
    latency_ms: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Returns the line that ``edge-fer run --json`` prints."""
        return {
            "t": round(self.frame.t_s, 4),
            "frame": self.frame.index,
            **({"file": self.frame.name} if self.frame.name else {}),
            "faces": [face.to_dict() for face in self.faces],
            "latency_ms": {stage: round(ms, 3) for stage, ms in self.latency_ms.items()},
        }


class Recognizer:
    """Detector, identities and classifier in one loop.

    Args:
        classifier: From face pixels to probabilities.
        detector: Finds the faces.
    """

    def __init__(self, classifier: Classifier, detector: Detector) -> None:
        self.classifier, self.detector = classifier, detector
        self._identities = Identities()

    @classmethod
    def load(
        cls,
        bundle: str = DEFAULT_BUNDLE,
        *,
        detector: str = "auto",
        engine: str | None = None,
        threads: int = 1,
    ) -> "Recognizer":
        """Loads a bundle by name or path.

        Raises:
            EdgeFerError: Bundle, engine or detector cannot be used.
        """
        loaded = Bundle.load(find_resource("bundle", bundle))
        model_file, engine = choose_file(loaded, engine)
        cv2.setNumThreads(threads)
        classifier = Classifier(loaded, model_file, engine, threads)
        return cls(classifier, open_detector(detector))

    def stream(self, source: Source) -> Iterator[Result]:
        """Reads every frame of a source."""
        for frame in source:
            yield self.read(frame)

    def read(self, frame: Frame) -> Result:
        """Finds the faces of one frame and reads their expressions."""
        marks = [time.perf_counter()]

        def mark() -> None:
            marks.append(time.perf_counter())

        detections: list[Detection] = self.detector.detect(frame.image)
        mark()
        ids = self._identities.assign([detection.box for detection in detections])
        mark()
        face_pixels = self.classifier.preprocessing.face_pixels
        crops = [face_pixels(frame.image, found.box, found.eyes) for found in detections]
        mark()
        logits = [self.classifier.logits(crop) for crop in crops]
        mark()
        faces = tuple(
            Face(
                number,
                found.box,
                self.classifier.probabilities(logits_K),
                self.classifier.labels,
                found.landmarks,
            )
            for number, found, logits_K in zip(ids, detections, logits, strict=True)
        )
        mark()
        spans = [1e3 * (b - a) for a, b in pairwise(marks)]
        spans = [frame.capture_ms, *spans, frame.capture_ms + 1e3 * (marks[-1] - marks[0])]
        return Result(frame, faces, dict(zip(STAGES, spans, strict=True)))
