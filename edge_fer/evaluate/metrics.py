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


def reliability_bins(probabilities_NK: np.ndarray, labels_N: np.ndarray) -> list[dict[str, Any]]:
    """Confidence and accuracy in 15 equal bins of confidence.

    Returns:
        ``from``, ``to``, ``n``, and mean ``confidence`` and ``accuracy``, which are ``None`` in a
        bin without faces.
    """
    confidence_N = probabilities_NK.max(1).astype(np.float64)
    correct_N = probabilities_NK.argmax(1) == labels_N
    bin_N = np.minimum((confidence_N * ECE_BINS).astype(int), ECE_BINS - 1)
    return [
        {
            "from": index / ECE_BINS,
            "to": (index + 1) / ECE_BINS,
            "n": int(inside_N.sum()),
            "confidence": float(confidence_N[inside_N].mean()) if inside_N.any() else None,
            "accuracy": float(correct_N[inside_N].mean()) if inside_N.any() else None,
        }
        for index, inside_N in ((index, bin_N == index) for index in range(ECE_BINS))
    ]


def expected_calibration_error(probabilities_NK: np.ndarray, labels_N: np.ndarray) -> float:
    """Mean gap between confidence and accuracy over 15 equal bins, weighted by their faces."""
    bins = [b for b in reliability_bins(probabilities_NK, labels_N) if b["n"]]
    return float(sum(b["n"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / len(labels_N))


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
        leaked_N: bool ``[N]``, True where an image also occurs in the training split; None if that
            is not known.

    Returns:
        ``n``, ``accuracy``, ``accuracy_ci95``, ``accuracy_without_leaks`` and ``n_without_leaks``
        (None if not known),
        ``uar`` and ``uf1`` (mean recall and mean F1 of the classes present), ``ece``, ``per_class``
        and ``confusion``.
    """
    predicted_N = probabilities_NK.argmax(1)
    correct_N = predicted_N == labels_N
    matrix = confusion_matrix(labels_N, predicted_N, len(label_names))
    per_class = {name: _class_figures(matrix, k) for k, name in enumerate(label_names)}
    return {
        **_accuracy(correct_N, leaked_N),
        "uar": _mean_of_present(per_class, "recall"),
        "uf1": _mean_of_present(per_class, "f1"),
        "ece": expected_calibration_error(probabilities_NK, labels_N),
        "per_class": per_class,
        "confusion": matrix.tolist(),
    }


def subset_report(
    correct_N: np.ndarray,
    tags: Sequence[Sequence[str]],
    leaked_N: np.ndarray | None = None,
) -> dict[str, dict[str, Any]]:
    """Accuracy on the faces of each tag, in order of the tags' names.

    Args:
        correct_N: bool ``[N]``.
        tags: Of each of the N faces; empty if none has any.
        leaked_N: As for ``report``.

    Returns:
        For each tag ``n``, ``accuracy``, ``accuracy_ci95``, ``accuracy_without_leaks`` and
        ``n_without_leaks``.
    """
    subsets = {}
    for tag in sorted({tag for of_face in tags for tag in of_face}):
        tagged_N = np.array([tag in of_face for of_face in tags])
        leaked = None if leaked_N is None else leaked_N[tagged_N]
        subsets[tag] = _accuracy(correct_N[tagged_N], leaked)
    return subsets


def _accuracy(correct_N: np.ndarray, leaked_N: np.ndarray | None) -> dict[str, Any]:
    figures = {
        "n": len(correct_N),
        "accuracy": float(correct_N.mean()),
        "accuracy_ci95": list(wilson_interval(int(correct_N.sum()), len(correct_N))),
    }
    if leaked_N is None:
        return {**figures, "accuracy_without_leaks": None, "n_without_leaks": None}
    fresh_N = correct_N[~leaked_N]
    accuracy = float(fresh_N.mean()) if len(fresh_N) else None
    return {**figures, "accuracy_without_leaks": accuracy, "n_without_leaks": len(fresh_N)}


def _mean_of_present(per_class: dict[str, dict[str, Any]], key: str) -> float:
    return float(np.mean([figures[key] for figures in per_class.values() if figures["n"]]))


def _class_figures(matrix: np.ndarray, k: int) -> dict[str, Any]:
    hit, labelled, predicted = int(matrix[k, k]), int(matrix[k].sum()), int(matrix[:, k].sum())
    return {
        "recall": hit / labelled if labelled else 0.0,
        "recall_ci95": list(wilson_interval(hit, labelled)),
        "precision": hit / predicted if predicted else 0.0,
        "f1": 2 * hit / (labelled + predicted) if labelled + predicted else 0.0,
        "n": labelled,
    }
