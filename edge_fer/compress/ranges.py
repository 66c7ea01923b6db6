"""Ranges of activations from what was observed of them: the one copy, for both formats.

8-bit activations have 256 levels between the ends of their range. Wide ends waste levels on values
that hardly occur, narrow ends clip.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from edge_fer.errors import EdgeFerError

BINS = 2048
LEVELS = 256
_CANDIDATES = 64
METHODS = ("min_max", "percentile", "mse")

Range = tuple[float, float]
Activations = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Method:
    """How the ends of a range are chosen.

    Attributes:
        name: ``min_max``: smallest and largest value. ``percentile``: as many values are cut off at
            either end. ``mse``: least mean squared error of the quantized values.
        percentile: Percentage of the values inside, for ``percentile`` only.
    """

    name: str = "min_max"
    percentile: float = 100.0

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            raise EdgeFerError(
                f"unknown calibration method {self.name!r}; known: {', '.join(METHODS)}"
            )
        if not 50 < self.percentile <= 100:
            raise EdgeFerError(f"percentile {self.percentile:g} is not above 50 and at most 100")
        if self.name != "percentile" and self.percentile != 100:
            raise EdgeFerError(f"percentile belongs to the method percentile, not to {self.name}")


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Distribution of a tensor's values.

    Attributes:
        low: Smallest value.
        high: Largest value.
        counts_B: int ``[B]``, values in each of B equal bins from ``low`` to ``high``.
    """

    low: float
    high: float
    counts_B: np.ndarray

    @property
    def edges(self) -> np.ndarray:
        """Ends of the bins, float ``[B + 1]``."""
        return np.linspace(self.low, self.high, len(self.counts_B) + 1)

    @property
    def centres(self) -> np.ndarray:
        """Middles of the bins, float ``[B]``."""
        return np.asarray((self.edges[1:] + self.edges[:-1]) / 2)


def observe(values: np.ndarray, bins: int = BINS) -> Observation:
    """Returns the distribution of the values of one array."""
    low, high = float(values.min()), float(values.max())
    return Observation(low=low, high=high, counts_B=_counts(values, low, high, bins))


def range_of(observation: Observation, method: Method) -> Range:
    """Returns the ends of the range; it always holds 0, which must be quantized exactly."""
    if method.name == "percentile":
        low, high = _percentile_range(observation, method.percentile)
    elif method.name == "mse":
        low, high = _mse_range(observation)
    else:
        low, high = observation.low, observation.high
    return min(low, 0.0), max(high, 0.0)


def quantization_error(observation: Observation, low: float, high: float) -> float:
    """Mean squared error of the observed values when quantized to 256 levels from low to high.

    Args:
        observation: Its bins' centres stand for its values.
        low: At most 0.
        high: At least 0, and above ``low``.
    """
    scale = (high - low) / (LEVELS - 1)
    zero_point = np.round(-low / scale)
    steps_B = np.round(observation.centres / scale) + zero_point
    restored_B = (np.clip(steps_B, 0, LEVELS - 1) - zero_point) * scale
    error_B = (observation.centres - restored_B) ** 2
    return float((observation.counts_B * error_B).sum() / max(1, observation.counts_B.sum()))


def measure_ranges(
    activations: Callable[[], Iterable[Activations]], method: Method, whole: Collection[str] = ()
) -> dict[str, Range]:
    """Measures the range of each tensor over all calibration faces.

    Args:
        activations: Returns, each time it is called, the tensors by name of one face after another.
            It is called twice where the method needs a histogram.
        method: How the ends are chosen.
        whole: Names of tensors that keep smallest and largest value whatever the method: the
            input, whose scale is fixed, and the logits, of which none may be clipped.
    """
    extremes: dict[str, Range] = {}
    for tensors in activations():
        for name, values in tensors.items():
            low, high = extremes.get(name, (np.inf, -np.inf))
            extremes[name] = min(low, float(values.min())), max(high, float(values.max()))
    if method.name == "min_max":
        return extremes
    counts = {name: np.zeros(BINS, np.int64) for name in extremes if name not in whole}
    for tensors in activations():
        for name in counts:
            counts[name] += _counts(tensors[name], *extremes[name], BINS)
    narrowed = {
        name: range_of(
            Observation(low=extremes[name][0], high=extremes[name][1], counts_B=counts[name]),
            method,
        )
        for name in counts
    }
    return extremes | narrowed


def _counts(values: np.ndarray, low: float, high: float, bins: int) -> np.ndarray:
    width = (high - low) / bins
    if width <= 0 or not np.isfinite(1 / width):
        return np.bincount([bins // 2], [values.size], bins).astype(np.int64)
    bin_N = ((values.ravel() - low) * (1 / width)).astype(np.int32)
    return np.bincount(np.clip(bin_N, 0, bins - 1), minlength=bins)


def _percentile_range(observation: Observation, percentile: float) -> Range:
    cumulative_B = np.cumsum(observation.counts_B) / observation.counts_B.sum()
    cut = (100 - percentile) / 200
    first = int(np.searchsorted(cumulative_B, cut, side="right"))
    last = int(np.searchsorted(cumulative_B, 1 - cut, side="left"))
    edges = observation.edges
    return float(edges[first]), float(edges[min(last + 1, len(edges) - 1)])


def _mse_range(observation: Observation) -> Range:
    """Narrows the upper end, then the lower one, to where the error is least."""
    low, high = min(observation.low, 0.0), max(observation.high, 0.0)
    if low == high:
        return low, high
    shares = np.linspace(1, 1 / _CANDIDATES, _CANDIDATES)
    if high > 0:
        high = min(
            (high * shares).tolist(), key=lambda end: quantization_error(observation, low, end)
        )
    if low < 0:
        low = min(
            (low * shares).tolist(), key=lambda end: quantization_error(observation, end, high)
        )
    return low, high
