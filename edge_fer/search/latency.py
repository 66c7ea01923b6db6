"""The latency that weights on edges stand for, as a term of alpha's loss.

Shape suffixes: E edges of a cell, O operations.
"""

import torch
from torch import Tensor

from edge_fer.search.table import Table

_KEPT = 2


class LatencyTerm:
    """Expected latency against a budget.

    The expectation takes each operation with its weight and each edge with the chance that its node
    keeps it: two of a node's edges, each by its share of the node's weights. (Cai et al. 2019,
    ProxylessNAS, equation 4, for cells.)

    Args:
        table: Of the device.
        precision: ``fp32`` or ``int8``.
        budget_ms: Latency that costs nothing.
        weight: Loss of being over the budget by once the budget.
        device: Where the weights live.
    """

    def __init__(
        self, table: Table, precision: str, budget_ms: float, weight: float, device: torch.device
    ) -> None:
        self.base_ms, self.budget_ms, self.weight = table.base_ms[precision], budget_ms, weight
        self._edges_of_node = list(range(2, table.space.intermediate + 2))
        self._normal_EO, self._reduction_EO = (
            torch.from_numpy(times_EO).float().to(device) for times_EO in table.edges_ms(precision)
        )

    def expected_ms(self, normal_EO: Tensor, reduction_EO: Tensor) -> Tensor:
        """Returns the expectation, a scalar.

        Args:
            normal_EO: Weights of normal cells.
            reduction_EO: The same of reduction cells.
        """
        normal_ms = self._cells_ms(normal_EO, self._normal_EO)
        return self.base_ms + normal_ms + self._cells_ms(reduction_EO, self._reduction_EO)

    def penalty(self, normal_EO: Tensor, reduction_EO: Tensor) -> Tensor:
        """Returns what is added to the loss, a scalar; 0 within the budget."""
        over = self.expected_ms(normal_EO, reduction_EO) / self.budget_ms - 1
        return self.weight * over.clamp(min=0)

    def _cells_ms(self, weights_EO: Tensor, times_EO: Tensor) -> Tensor:
        spent_E, mass_E = (weights_EO * times_EO).sum(1), weights_EO.sum(1)
        spent, mass = (torch.split(x_E, self._edges_of_node) for x_E in (spent_E, mass_E))
        shares = [_KEPT * s.sum() / m.sum() for s, m in zip(spent, mass, strict=True)]
        return torch.stack(shares).sum()
