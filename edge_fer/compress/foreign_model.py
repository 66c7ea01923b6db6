"""A model that somebody else's program made, ready to be quantized."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edge_fer.compress.description import Description
from edge_fer.errors import ModelError
from edge_fer.runtime.classifier import softmax

#: Probabilities of the float files may differ by so much from the model's own.
CONVERSION_TOLERANCE = 0.01
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class ForeignModel:
    """What a reader makes of a file.

    Attributes:
        floats: Float files by format, ``tflite`` or ``onnx``: they take ``(pixel - 128) / 128`` and
            give logits, whatever the model itself takes and gives.
        scores: What the model itself gives for fitted faces, uint8 ``[N, H, W]`` or
            ``[N, H, W, 3]``: float32 ``[N, K]``, logits or probabilities.
        params: Values of its weights.
    """

    floats: Mapping[str, bytes]
    scores: Callable[[np.ndarray], np.ndarray]
    params: int


def probabilities_of(scores_NK: np.ndarray, description: Description, name: str) -> np.ndarray:
    """Returns the model's own probabilities, float32 ``[N, K]``.

    Raises:
        ModelError: There are not as many outputs as labels, or they are not what they are said to
            be.
    """
    labels = len(description.labels)
    if scores_NK.ndim != 2 or scores_NK.shape[1] != labels:
        shape = "x".join(map(str, scores_NK.shape[1:]))
        raise ModelError(f"{name}: gives {shape} values a face, but there are {labels} labels")
    if not np.isfinite(scores_NK).all():
        raise ModelError(f"{name}: gives values that are no numbers")
    sums_to_one = np.allclose(scores_NK.sum(1), 1, atol=_SUM_TOLERANCE)
    looks_like = "probabilities" if sums_to_one and scores_NK.min() >= 0 else "logits"
    if looks_like != description.output:
        raise ModelError(f"{name}: gives {looks_like}; the description says {description.output}")
    return scores_NK if looks_like == "probabilities" else softmax(scores_NK)


def require_same(expected_NK: np.ndarray, found_NK: np.ndarray, name: str) -> None:
    """Raises ``ModelError`` where a float file's probabilities are not the model's own."""
    worst = float(np.abs(expected_NK - found_NK).max())
    if worst > CONVERSION_TOLERANCE:
        raise ModelError(
            f"{name}: conversion changed the model: a probability differs by {worst:.3f}; check "
            "layout, range and colours in the description"
        )


def no_softmax(name: str) -> ModelError:
    """The error where probabilities are promised, but no softmax is at the end."""
    return ModelError(
        f"{name}: output is probabilities, but it does not end in a softmax over the classes that "
        "can be taken off; save the model up to its logits"
    )
