"""The latency that weights on edges stand for, as a term of alpha's loss.

Shape suffixes: E edges of a cell, O operations.
"""

from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from edge_fer.models.emonas import Genotype
from edge_fer.search.guards import derive
from edge_fer.search.table import Table

_KEPT = 2


class LatencyTerm:
    """Latency against a budget.

    How far it is over the budget is judged by the genotype that would be kept now; which way leads
    down, by what the weights expect: a straight-through estimator (Bengio et al. 2013). By the
    expectation alone, nearly equal weights end in cells far cheaper than the budget, or dearer.

    The expectation takes each operation with its weight and each edge with the chance that its node
    keeps it: two of a node's edges, each by its share of the node's weights. (Cai et al. 2019,
    ProxylessNAS, equation 4, for cells.)

    Args:
        table: Of the device.
        precision: ``fp32`` or ``int8``.
        budget_ms: Latency that costs nothing.
        weight: Loss of being over the budget by once the budget.
        device: Where the weights live.
        guards: Of the search; they decide what is kept.
    """

    def __init__(
        self,
        table: Table,
        precision: str,
        budget_ms: float,
        weight: float,
        device: torch.device,
        guards: Collection[str] = (),
    ) -> None:
        self.base_ms, self.budget_ms, self.weight = table.base_ms[precision], budget_ms, weight
        self._table, self._precision, self._guards = table, precision, guards
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

    def kept_ms(self, normal_EO: Tensor, reduction_EO: Tensor) -> float:
        """Returns the latency of the genotype that would be kept; arguments as ``expected_ms``."""
        normal, reduction = derive(_array(normal_EO), _array(reduction_EO), self._guards)
        space = self._table.space
        genotype = Genotype(
            normal=normal, reduction=reduction, cells=space.cells, channels=space.channels
        )
        return self._table.predict_ms(genotype, self._precision)

    def penalty(self, normal_EO: Tensor, reduction_EO: Tensor) -> Tensor:
        """Returns what is added to the loss, a scalar; 0 where what is kept is in the budget."""
        over = self.kept_ms(normal_EO, reduction_EO) / self.budget_ms - 1
        if over <= 0:
            return normal_EO.new_zeros(())
        expected = self.expected_ms(normal_EO, reduction_EO) / self.budget_ms
        return self.weight * (over + expected - expected.detach())

    def _cells_ms(self, weights_EO: Tensor, times_EO: Tensor) -> Tensor:
        spent_E, mass_E = (weights_EO * times_EO).sum(1), weights_EO.sum(1)
        spent, mass = (torch.split(x_E, self._edges_of_node) for x_E in (spent_E, mass_E))
        shares = [_KEPT * s.sum() / m.sum() for s, m in zip(spent, mass, strict=True)]
        return torch.stack(shares).sum()


def _array(weights_EO: Tensor) -> np.ndarray:
    return weights_EO.detach().cpu().double().numpy()
