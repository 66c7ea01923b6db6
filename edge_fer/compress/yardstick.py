"""The faces on which files are measured, and what they give on them.

Shape suffixes: N faces, K classes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fer.compress.gates import against_float
from edge_fer.evaluate.labelled import read_labelled, require_same_labels
from edge_fer.evaluate.metrics import report, wilson_interval
from edge_fer.evaluate.predict import engine_logits, torch_logits
from edge_fer.evaluate.temperature import temperature_of
from edge_fer.preprocess import Preprocessing
from edge_fer.runtime.classifier import softmax
from edge_fer.runtime.engines import Engine, load_engine
from edge_fer.train.checkpoint import Checkpoint

ON_CALIBRATION = "calibration faces"
_FACES_FOR_ERRORS = 256


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """Faces, what is right on them, and what torch says.

    Attributes:
        images_NHW: uint8 face crops.
        labels_N: int ``[N]``; torch's own where the faces have none.
        label_names: The K classes.
        is_labelled: The labels are those of a dataset.
        leaked_N: bool ``[N]``, True where an image also occurs in training; ``None`` if unknown.
        source: What the faces are, e.g. ``fer2013:PrivateTest``.
        preprocessing: Of the network.
        temperature: Divides logits before softmax.
        torch_NK: Logits through torch.
    """

    images_NHW: np.ndarray
    labels_N: np.ndarray
    label_names: tuple[str, ...]
    is_labelled: bool
    leaked_N: np.ndarray | None
    source: str
    preprocessing: Preprocessing
    temperature: float
    torch_NK: np.ndarray

    def logits(self, engine: Engine) -> np.ndarray:
        """Returns the logits of all faces, float32 ``[N, K]``."""
        return engine_logits(engine, self.images_NHW, self.preprocessing)

    def figures(self, logits_NK: np.ndarray) -> dict[str, Any]:
        """Returns a file's figures: agreement with torch, and accuracy where there are labels."""
        probabilities_NK = softmax(logits_NK / self.temperature)
        error_NK = np.abs(probabilities_NK - softmax(self.torch_NK / self.temperature))
        same = int((logits_NK.argmax(1) == self.torch_NK.argmax(1)).sum())
        n = len(self.images_NHW)
        figures = {
            "compared_on": self.source,
            "n": n,
            "label_agreement": same / n,
            "label_agreement_ci95": list(wilson_interval(same, n)),
            "max_probability_error": float(error_NK.max()),
        }
        if self.is_labelled:
            figures |= report(probabilities_NK, self.labels_N, self.label_names, self.leaked_N)
        return figures

    def against(self, float_NK: np.ndarray, own_NK: np.ndarray) -> dict[str, Any]:
        """Compares a file's logits with its float twin's; see ``against_float``."""
        before_NK, after_NK = (softmax(x_NK / self.temperature) for x_NK in (float_NK, own_NK))
        return against_float(before_NK, after_NK, self.labels_N, self.label_names)


def faces_to_measure_on(
    checkpoint: Checkpoint, evaluation: str | None, split: str, fallback_NHW: np.ndarray | None
) -> Yardstick:
    """Reads the labelled faces, or takes the calibration faces where there are none.

    Args:
        checkpoint: The network.
        evaluation: Specification of labelled faces, or ``None``.
        split: Of them.
        fallback_NHW: Faces without labels; needed without ``evaluation``.

    Raises:
        EdgeFerError: The data cannot be used, or have other labels than the network.
    """
    leaked_N, source = None, ON_CALIBRATION
    if evaluation is None:
        assert fallback_NHW is not None
        images_NHW = fallback_NHW
    else:
        faces, leaked_N = read_labelled(evaluation, split)
        require_same_labels(checkpoint.labels, faces)
        images_NHW, source = faces.images_NHW, faces.source
    torch_NK = torch_logits(checkpoint.network, images_NHW, checkpoint.preprocessing)
    return Yardstick(
        images_NHW=images_NHW,
        labels_N=torch_NK.argmax(1) if evaluation is None else faces.labels_N,
        label_names=checkpoint.labels,
        is_labelled=evaluation is not None,
        leaked_N=leaked_N,
        source=source,
        preprocessing=checkpoint.preprocessing,
        temperature=temperature_of(checkpoint.metadata, "the checkpoint"),
        torch_NK=torch_NK,
    )


class FileJudge:
    """Measures quantized files of one format; a ``mixed.Judge``."""

    def __init__(self, yardstick: Yardstick, engine: str, float_content: bytes) -> None:
        """Measures the float file.

        Args:
            yardstick: The faces.
            engine: Name of the engine that reads the format.
            float_content: The float file.
        """
        self._yardstick, self._engine = yardstick, engine
        self._float_NK = yardstick.logits(load_engine(engine, float_content, "float"))

    def logit_error(self, content: bytes) -> float:
        """Returns the root of the mean squared difference of the logits of up to 256 faces."""
        few = self._yardstick.images_NHW[:_FACES_FOR_ERRORS]
        engine = load_engine(self._engine, content, "quantized")
        own_NK = engine_logits(engine, few, self._yardstick.preprocessing)
        return float(np.sqrt(np.square(own_NK - self._float_NK[: len(few)]).mean()))

    def drop_pt(self, content: bytes) -> float:
        """Returns what the file loses against the float file, in points of accuracy."""
        own_NK = self._yardstick.logits(load_engine(self._engine, content, "quantized"))
        labels_N = self._yardstick.labels_N
        right = [(logits.argmax(1) == labels_N).mean() for logits in (self._float_NK, own_NK)]
        return float(100 * (right[0] - right[1]))
