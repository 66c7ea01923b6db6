"""What a pruned network may cost, and the search for the largest one that does not cost more."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from edge_fer.errors import EdgeFerError, ModelError
from edge_fer.models.complexity import describe

#: Takes a network and the shape of its input, gives milliseconds of one inference.
LatencyMeter = Callable[[nn.Module, tuple[int, ...]], float]
Cost = Callable[[nn.Module], float]

UNITS: Mapping[str, str] = {"macs": "MACs", "params": "parameters", "latency_ms": "ms"}
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_AMOUNT = re.compile(r"(\d+\.?\d*|\.\d+)\s*([kmg]?)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What may be left.

    Attributes:
        kind: ``ratio`` (the share of the MACs that goes), ``macs``, ``params`` (with batch-norm
            statistics) or ``latency_ms``.
        value: Of it.

    Raises:
        EdgeFerError: A value that no network can have.
    """

    kind: str
    value: float

    def __post_init__(self) -> None:
        if self.kind == "ratio" and not 0 < self.value < 1:
            raise EdgeFerError(f"a ratio is above 0 and below 1, not {self.value:g}")
        if not self.value > 0:
            raise EdgeFerError(f"a budget is above 0, not {self.value:g}")

    @property
    def unit(self) -> str:
        """What is counted: a key of ``UNITS``."""
        return "macs" if self.kind == "ratio" else self.kind

    def limit(self, whole: float) -> float:
        """Returns what may be left of a network that costs ``whole``.

        Raises:
            ModelError: It costs no more already.
        """
        if self.kind == "ratio":
            return whole * (1 - self.value)
        if whole <= self.value:
            raise ModelError(
                f"nothing to prune: the network has {amount(whole, self.unit)}, "
                f"the budget is {amount(self.value, self.unit)}"
            )
        return self.value


def parse_amount(text: str) -> float:
    """Reads a number that may end in k, M or G.

    Raises:
        EdgeFerError: It is none.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if not match:
        raise EdgeFerError(f"{text!r} is not an amount like 13.5M, 150k or 90000")
    return float(match[1]) * _FACTORS[match[2].lower()]


def amount(value: float, unit: str) -> str:
    """Writes a cost for people, e.g. ``13.52 M MACs``."""
    if unit == "macs":
        return f"{value / 1e6:.2f} M {UNITS[unit]}"
    return f"{value:,.0f} {UNITS[unit]}" if unit == "params" else f"{value:.3f} {UNITS[unit]}"


def cost_in(unit: str, input_nchw: tuple[int, int, int, int], meter: LatencyMeter | None) -> Cost:
    """Returns the function that tells what a network costs.

    Args:
        unit: A key of ``UNITS``.
        input_nchw: Of the network.
        meter: Measures milliseconds; only needed for them.
    """
    if unit == "latency_ms":
        assert meter is not None
        return lambda network: meter(network, input_nchw)
    if unit == "params":
        return lambda network: describe(network, input_nchw).params_total
    return lambda network: describe(network, input_nchw).macs


def least_cut(most: int, cost_at: Callable[[int], float], limit: float, unit: str) -> int:
    """Finds by bisection how many chunks have to go at least.

    Args:
        most: How many there are.
        cost_at: What is left when so many are gone; it falls with their number. For latency, where
            it nearly does, the answer still meets the limit.
        limit: What may be left.
        unit: For the message.

    Raises:
        ModelError: Even without all of them the rest costs more.
    """
    least = cost_at(most)
    if least > limit:
        raise ModelError(
            f"a budget of {amount(limit, unit)} cannot be met: the narrowest network that pruning "
            f"gives still has {amount(least, unit)}"
        )
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if cost_at(middle) <= limit:
            high = middle
        else:
            low = middle + 1
    return high
