"""The device loop: frame in, faces with their expressions out, every stage timed."""

import time
from collections.abc import Iterator
from itertools import pairwise

import cv2

from edge_fer.bundle import Bundle
from edge_fer.resources import find_resource
from edge_fer.runtime.classifier import Classifier, choose_file
from edge_fer.runtime.detectors import Detection, Detector, open_detector
from edge_fer.runtime.frame import Frame, Source
from edge_fer.runtime.result import STAGES, Face, Result
from edge_fer.runtime.tracking import Identities

DEFAULT_BUNDLE = "arch-1-fer2013"


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
