"""Two models on the same faces: which differences could be chance.

Faces are paired, so only those tell the models apart on which exactly one of them is right.
"""

import math
from typing import Any

import numpy as np

from edge_fer.evaluate.metrics import wilson_interval

INTERVAL_METHOD = "Newcombe 1998, method 10 (paired, from Wilson intervals)"


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's exact test.

    Args:
        only_first: Faces that only the first model gets right.
        only_second: Faces that only the second gets right.

    Returns:
        Probability of a split at least as uneven if either were as likely; 1 without such faces.
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    log_terms = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(fewer + 1)
    ]
    tail = math.fsum(math.exp(term - n * math.log(2)) for term in log_terms)
    return min(1.0, 2 * tail)


def paired_difference_interval(
    both: int, only_first: int, only_second: int, neither: int
) -> tuple[float, float]:
    """95 % interval of the second model's accuracy minus the first's.

    Newcombe's method 10: Wilson's intervals of both accuracies, joined by the correlation of the
    2x2 table (continuity-corrected), which paired faces have and independent samples have not.

    Args:
        both: Faces that both get right.
        only_first: Faces that only the first gets right.
        only_second: Faces that only the second gets right.
        neither: Faces that both get wrong.
    """
    n = both + only_first + only_second + neither
    if n == 0:
        return -1.0, 1.0
    first, second = both + only_first, both + only_second
    (low1, high1), (low2, high2) = wilson_interval(first, n), wilson_interval(second, n)
    p1, p2 = first / n, second / n
    phi = _correlation(both, only_first, only_second, neither)
    below = _joined(p2 - low2, high1 - p1, phi)
    above = _joined(high2 - p2, p1 - low1, phi)
    return max(-1.0, p2 - p1 - below), min(1.0, p2 - p1 + above)


def _joined(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))


def _correlation(both: int, only_first: int, only_second: int, neither: int) -> float:
    n = both + only_first + only_second + neither
    margins = (both + only_first, only_second + neither, both + only_second, only_first + neither)
    cross = float(both * neither - only_first * only_second)
    if cross > 0:
        cross = max(0.0, cross - n / 2)
    return cross / math.sqrt(math.prod(margins)) if all(margins) else 0.0


def comparison(first_NK: np.ndarray, second_NK: np.ndarray, labels_N: np.ndarray) -> dict[str, Any]:
    """Compares two models by their probabilities of the same faces.

    Args:
        first_NK: float ``[N, K]`` of the model that is compared with.
        second_NK: float ``[N, K]`` of the other.
        labels_N: int ``[N]``.

    Returns:
        Counts of faces (``both_correct``, ``only_first_correct``, ``only_second_correct``,
        ``both_wrong``), ``mcnemar_p``, ``accuracy_difference`` (second minus first) with its
        interval and its method, and ``label_flip_rate``: how often the two name different classes.
    """
    first_N, second_N = first_NK.argmax(1), second_NK.argmax(1)
    right1_N, right2_N = first_N == labels_N, second_N == labels_N
    table = [
        int((right1_N & right2_N).sum()),
        int((right1_N & ~right2_N).sum()),
        int((~right1_N & right2_N).sum()),
        int((~right1_N & ~right2_N).sum()),
    ]
    flips, n = int((first_N != second_N).sum()), len(labels_N)
    names = ("both_correct", "only_first_correct", "only_second_correct", "both_wrong")
    return {
        "n": n,
        **dict(zip(names, table, strict=True)),
        "mcnemar_p": mcnemar_exact(table[1], table[2]),
        "accuracy_difference": (table[2] - table[1]) / n,
        "accuracy_difference_ci95": list(paired_difference_interval(*table)),
        "interval_method": INTERVAL_METHOD,
        "label_flip_rate": flips / n,
        "label_flip_rate_ci95": list(wilson_interval(flips, n)),
    }
