"""Intervals on medians and on their ratios, by bootstrap over rounds.

Inferences of one round share what the machine did meanwhile, so a round, not an inference, is what
is drawn again: thousands of inferences do not make an interval narrower than the rounds allow.

R: rounds. B: draws.
"""

from dataclasses import dataclass

import numpy as np

DRAWS = 2000
LEVEL = 0.95
#: A smaller change is not called one, however sure it is: placement of code and data moves as much.
SMALLEST_CHANGE = 0.02


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        value: The estimate.
        low: Lower bound.
        high: Upper bound.
    """

    value: float
    low: float
    high: float

    @property
    def bounds(self) -> list[float]:
        """``[low, high]``, for documents."""
        return [self.low, self.high]


def median_interval(rounds_R: np.ndarray, *, seed: int = 0) -> Interval:
    """Returns the median of round medians ``[R]`` with its interval, in their unit."""
    rounds_R = np.asarray(rounds_R, np.float64)
    return _interval(float(np.median(rounds_R)), _drawn_medians(rounds_R, seed))


def paired_ratio(candidate_R: np.ndarray, reference_R: np.ndarray, *, seed: int = 0) -> Interval:
    """Compares two candidates of one interleaved run: the median of their ratios round by round.

    What slows a round down slows both, and cancels.

    Args:
        candidate_R: Round medians ``[R]``.
        reference_R: Those of the reference in the same rounds.
        seed: Of the draws.
    """
    return median_interval(np.asarray(candidate_R) / np.asarray(reference_R), seed=seed)


def unpaired_ratio(candidate_R: np.ndarray, reference_R: np.ndarray, *, seed: int = 0) -> Interval:
    """Compares two runs: the ratio of their medians of round medians.

    Args:
        candidate_R: Round medians ``[R]``.
        reference_R: Those of the other run; their number may differ.
        seed: Of the draws.
    """
    candidate_R, reference_R = np.asarray(candidate_R), np.asarray(reference_R)
    drawn_B = _drawn_medians(candidate_R, seed) / _drawn_medians(reference_R, seed + 1)
    return _interval(float(np.median(candidate_R) / np.median(reference_R)), drawn_B)


def verdict(ratio: Interval) -> str:
    """Returns ``faster``, ``slower`` or ``noise``.

    A difference is one if the interval leaves 1 out and the change is ``SMALLEST_CHANGE`` or more.
    """
    if ratio.low <= 1 <= ratio.high or abs(ratio.value - 1) < SMALLEST_CHANGE:
        return "noise"
    return "slower" if ratio.value > 1 else "faster"


def _drawn_medians(rounds_R: np.ndarray, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).integers(0, len(rounds_R), (DRAWS, len(rounds_R)))
    return np.asarray(np.median(rounds_R[rows], axis=1))


def _interval(value: float, drawn_B: np.ndarray) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn_B, [tail, 1 - tail])
    return Interval(value=value, low=float(low), high=float(high))
