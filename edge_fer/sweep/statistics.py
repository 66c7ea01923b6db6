"""Mean, spread and Student's interval of a few figures."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

LEVEL = 0.95
_STEPS = 200


def describe(values: Sequence[float]) -> dict[str, Any]:
    """Describes figures of repeated trials.

    Returns:
        ``n``, ``mean``, ``sd`` (of a sample: over n - 1), ``min``, ``max`` and ``ci95``, Student's
        interval of the mean; ``None`` for what so few values do not give.
    """
    n = len(values)
    mean = statistics.fmean(values) if n else None
    sd = statistics.stdev(values) if n > 1 else None
    interval = None
    if mean is not None and sd is not None:
        half = student_quantile(n - 1) * sd / math.sqrt(n)
        interval = [mean - half, mean + half]
    return {
        "n": n,
        "mean": mean,
        "sd": sd,
        "min": min(values, default=None),
        "max": max(values, default=None),
        "ci95": interval,
    }


def student_quantile(freedom: int, level: float = LEVEL) -> float:
    """Returns the t between whose negative and itself a share of Student's distribution lies.

    Args:
        freedom: Degrees of freedom, at least 1.
        level: That share, in 0..1.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(_STEPS):
        angle = (low + high) / 2
        low, high = (angle, high) if _share_within(angle, freedom) < level else (low, angle)
    return math.sqrt(freedom) * math.tan(low)


def _share_within(angle: float, freedom: int) -> float:
    """Share within ``t = sqrt(freedom) tan(angle)``: Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= math.cos(angle) ** 2 * k / (k + 1)
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
