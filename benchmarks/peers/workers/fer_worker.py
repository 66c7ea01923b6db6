"""fer as its documentation uses it: Haar and its TFLite file.

Its README imports ``from fer import FER``, which this release does not offer.
"""

import numpy as np
from serve import serve

INPUT_PX = 64


class Fer:
    """The package's ``FER`` with its defaults."""

    pipeline = "OpenCV Haar cascade, 64x64 network (TFLite through TensorFlow)"

    def __init__(self) -> None:
        import cv2
        from fer.fer import FER

        cv2.setNumThreads(1)
        self._resize, self._fer = cv2.resize, FER()
        self.labels = list(FER._get_labels().values())

    def classify(self, face: np.ndarray) -> str:
        """What ``detect_emotions`` does with a face, without its border and its rounding."""
        x = self._resize(face, (INPUT_PX, INPUT_PX))[np.newaxis].astype("float32")
        scores_NK = self._fer._classify_emotions((x / 255.0 - 0.5) * 2.0)
        return self.labels[int(scores_NK[0].argmax())]

    def read(self, frame: np.ndarray) -> list[str]:
        """Every face's strongest emotion."""
        found = self._fer.detect_emotions(frame)
        return [max(face["emotions"], key=face["emotions"].get) for face in found]


if __name__ == "__main__":
    serve(Fer)
