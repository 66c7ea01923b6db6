"""edge-fer: ``edge_fer_worker.py ENGINE DETECTOR DETECT_EVERY``."""

import sys
from dataclasses import replace

import numpy as np
from serve import FRAME_SHAPE, serve

FPS = 30.0


class EdgeFer:
    """The shipped INT8 bundle.

    Args:
        engine: Of the classifier.
        detector: As for ``edge-fer run``.
        detect_every: Frames from one detection to the next; 0 is edge-fer's own schedule.
    """

    def __init__(self, engine: str, detector: str, detect_every: int) -> None:
        from edge_fer import Recognizer
        from edge_fer.runtime.frame import Frame

        self._recognizer = Recognizer.load(
            engine=engine, detector=detector, detect_every=detect_every
        )
        self._classifier = self._recognizer.classifier
        self.labels = self._classifier.labels
        self._next = Frame(0, 0.0, np.zeros(FRAME_SHAPE, np.uint8), 0.0)
        name = {"edge-fer": "its own detector", "haar": "Haar"}.get(detector, "YuNet")
        rhythm = f"every {detect_every} frame(s)" if detect_every else "about every 0.3 s"
        self.pipeline = f"{name} {rhythm}, following, {self._classifier.model_file.file}, smoothing"

    def classify(self, face: np.ndarray) -> str:
        """Preprocessing, network and softmax at the bundle's temperature."""
        logits_K = self._classifier.logits(self._classifier.preprocessing.fit(face))
        return str(self.labels[self._classifier.probabilities(logits_K).argmax()])

    def read(self, frame: np.ndarray) -> list[str]:
        """The next frame of a video of 30 frames a second."""
        result = self._recognizer.read(replace(self._next, image=frame))
        index = self._next.index + 1
        self._next = replace(self._next, index=index, t_s=index / FPS)
        return [face.label for face in result.faces]


if __name__ == "__main__":
    serve(lambda: EdgeFer(sys.argv[1], sys.argv[2], int(sys.argv[3])))
