"""What was read in a frame: the contract between the recognizer and everything that shows it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fer.preprocess import Box, Point
from edge_fer.runtime.frame import Frame

STAGES = ("capture", "detect", "track", "preprocess", "classify", "post", "total")
UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a frame.

    Attributes:
        id: Stays the same while the face stays in view.
        box: ``(x, y, w, h)`` in pixels.
        probabilities: float32 ``[K]``; over time, if they are smoothed.
        labels: The vocabulary, in the order of ``probabilities``.
        landmarks: As the detector's ``Detection`` has them.
        answer: What smoothing settled on: a label, or ``UNSURE``; empty without smoothing.
        raw_probabilities: float32 ``[K]`` of this frame alone, if ``probabilities`` are smoothed.
        tracked: The box was followed from the frame before, not detected in this one.
    """

    id: int
    box: Box
    probabilities: np.ndarray
    labels: tuple[str, ...]
    landmarks: tuple[Point, ...] | None = None
    answer: str = ""
    raw_probabilities: np.ndarray | None = None
    tracked: bool = False

    @property
    def label(self) -> str:
        """The answer, or without one the most probable expression."""
        return self.answer or self.labels[int(self.probabilities.argmax())]

    @property
    def score(self) -> float:
        """Its probability; of ``UNSURE``, the greatest one."""
        if self.answer in self.labels:
            return float(self.probabilities[self.labels.index(self.answer)])
        return float(self.probabilities.max())

    @property
    def raw_label(self) -> str:
        """The most probable expression of this frame alone."""
        raw_K = self.probabilities if self.raw_probabilities is None else self.raw_probabilities
        return self.labels[int(raw_K.argmax())]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values; the last three keys only where they apply."""
        probabilities = zip(self.labels, self.probabilities.tolist(), strict=True)
        document = {
            "id": self.id,
            "box": [round(value, 1) for value in self.box],
            "label": self.label,
            "score": round(self.score, 4),
            "probabilities": {label: round(p, 4) for label, p in probabilities},
        }
        if self.answer:
            document["raw_label"] = self.raw_label
        if self.tracked:
            document["tracked"] = True
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
            **({"dropped": self.frame.dropped} if self.frame.dropped else {}),
            **({"file": self.frame.name} if self.frame.name else {}),
            "faces": [face.to_dict() for face in self.faces],
            "latency_ms": {stage: round(ms, 3) for stage, ms in self.latency_ms.items()},
        }
