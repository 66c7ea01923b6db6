"""Figures of merit of a classifier, in numpy. Fractions in 0..1 throughout."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Z_95 = 1.959963984540054
ECE_BINS = 15


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a proportion; ``(0, 1)`` when ``n`` is 0."""
    if n == 0:
        return 0.0, 1.0
    p, z2 = correct / n, Z_95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def expected_calibration_error(probabilities_NK: np.ndarray, labels_N: np.ndarray) -> float:
    """Mean gap between confidence and accuracy over 15 equal bins, weighted by their faces."""
    confidence_N = probabilities_NK.max(1)
    correct_N = probabilities_NK.argmax(1) == labels_N
    bin_N = np.minimum((confidence_N * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [
        abs(float(correct_N[bin_N == b].mean() - confidence_N[bin_N == b].mean()))
        * (bin_N == b).mean()
        for b in np.unique(bin_N)
    ]
    return float(sum(gaps))


def confusion_matrix(labels_N: np.ndarray, predicted_N: np.ndarray, classes: int) -> np.ndarray:
    """Counts ``[K, K]``: row is the label, column the prediction."""
    counts = np.bincount(labels_N * classes + predicted_N, minlength=classes**2)
    return counts.reshape(classes, classes)


def report(
    probabilities_NK: np.ndarray,
    labels_N: np.ndarray,
    label_names: Sequence[str],
    leaked_N: np.ndarray | None = None,
) -> dict[str, Any]:
    """Everything ``edge-fer evaluate`` says of one model on one split.

    Args:
        probabilities_NK: float ``[N, K]``.
        labels_N: int ``[N]``.
        label_names: Vocabulary, in output order.
        leaked_N: bool ``[N]``, True where an image also occurs in the training split.

    Returns:
        ``n``, ``accuracy``, ``accuracy_ci95``, ``accuracy_without_leaks``, ``n_without_leaks``,
        ``uar`` (mean recall of the classes present), ``ece``, ``per_class`` and ``confusion``.
    """
    predicted_N = probabilities_NK.argmax(1)
    correct_N = predicted_N == labels_N
    matrix = confusion_matrix(labels_N, predicted_N, len(label_names))
    per_class = {name: _class_figures(matrix, k) for k, name in enumerate(label_names)}
    kept_N = np.ones(len(labels_N), bool) if leaked_N is None else ~leaked_N
    return {
        "n": len(labels_N),
        "accuracy": float(correct_N.mean()),
        "accuracy_ci95": list(wilson_interval(int(correct_N.sum()), len(labels_N))),
        "accuracy_without_leaks": float(correct_N[kept_N].mean()) if kept_N.any() else None,
        "n_without_leaks": int(kept_N.sum()),
        "uar": float(np.mean([c["recall"] for c in per_class.values() if c["n"]])),
        "ece": expected_calibration_error(probabilities_NK, labels_N),
        "per_class": per_class,
        "confusion": matrix.tolist(),
    }


def _class_figures(matrix: np.ndarray, k: int) -> dict[str, Any]:
    hit, labelled, predicted = int(matrix[k, k]), int(matrix[k].sum()), int(matrix[:, k].sum())
    return {
        "recall": hit / labelled if labelled else 0.0,
        "precision": hit / predicted if predicted else 0.0,
        "f1": 2 * hit / (labelled + predicted) if labelled + predicted else 0.0,
        "n": labelled,
    }
