"""How much accuracy a model keeps when its faces are disturbed: a curve per disturbance."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_fer.evaluate.disturb import DISTURBANCES, disturb
from edge_fer.evaluate.metrics import wilson_interval

Predict = Callable[[np.ndarray], np.ndarray]


def robustness(
    predict: Sequence[Predict],
    images_NHW: np.ndarray,
    labels_N: np.ndarray,
    announce: Callable[[str], None] = lambda _: None,
) -> list[list[dict[str, Any]]]:
    """Measures models on the same disturbed faces.

    Args:
        predict: For each model, from uint8 face crops ``[N, H, W]`` to logits ``[N, K]``.
        images_NHW: uint8, undisturbed.
        labels_N: What is right.
        announce: Called with the name of each disturbance when it starts.

    Returns:
        For each model a list of ``disturbance``, ``unit`` and ``levels``: ``level``, ``n``,
        ``accuracy`` and ``accuracy_ci95`` (fractions).
    """
    curves: list[list[dict[str, Any]]] = [[] for _ in predict]
    for name, disturbance in DISTURBANCES.items():
        announce(f"faces with {name}")
        steps = [
            [_step(level, model(spoilt), labels_N) for model in predict]
            for level in disturbance.levels
            for spoilt in [disturb(images_NHW, name, level)]
        ]
        for curve, levels in zip(curves, zip(*steps, strict=True), strict=True):
            curve.append({"disturbance": name, "unit": disturbance.unit, "levels": list(levels)})
    return curves


def _step(level: float, logits_NK: np.ndarray, labels_N: np.ndarray) -> dict[str, Any]:
    correct, n = int((logits_NK.argmax(1) == labels_N).sum()), len(labels_N)
    return {
        "level": level,
        "n": n,
        "accuracy": correct / n,
        "accuracy_ci95": wilson_interval(correct, n),
    }
