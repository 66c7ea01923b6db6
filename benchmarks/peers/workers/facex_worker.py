"""facex with a pool of one classifier."""

import numpy as np
from serve import serve


class Facex:
    """The package's ``PoolManager``."""

    pipeline = "OpenCV Haar cascade, 200x200x3 network (TFLite through TensorFlow)"

    def __init__(self) -> None:
        import cv2
        import facex

        cv2.setNumThreads(1)
        self._pool = facex.PoolManager(pool_size=1)
        self._classifier = self._pool.pool[0]
        self.labels = self._classifier.category

    def classify(self, face: np.ndarray) -> str:
        """What ``predict`` does with a face."""
        return _strongest(self._classifier.detect_emotion(face))

    def read(self, frame: np.ndarray) -> list[str]:
        """Every face's strongest emotion."""
        return [_strongest(face["emot"]) for face in self._pool.predict(frame)]


def _strongest(scores: dict[str, float]) -> str:
    return max(scores, key=lambda label: scores[label])


if __name__ == "__main__":
    serve(Facex)
