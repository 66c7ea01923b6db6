"""The parameters that choose: alpha, and what it weighs.

Shape suffixes: E edges of a cell, O operations.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edge_fer.models.emonas import OPERATIONS
from edge_fer.search.space import edges

_START = 1e-3
KINDS = ("normal", "reduction")


class Alphas(nn.Module):
    """Alpha of both kinds of cells.

    Args:
        intermediate: Number of intermediate nodes of a cell.
        between_edges: Also weigh a node's edges against each other (Xu et al. 2020, PC-DARTS).
    """

    def __init__(self, intermediate: int, *, between_edges: bool = False) -> None:
        super().__init__()
        count = len(edges(intermediate))
        for kind in KINDS:
            start_EO = _START * torch.randn(count, len(OPERATIONS))
            self.register_parameter(kind, nn.Parameter(start_EO))
            if between_edges:
                name = f"{kind}_edges"
                self.register_parameter(name, nn.Parameter(_START * torch.randn(count)))


def mixtures(alphas: Sequence[Tensor], intermediate: int) -> tuple[Tensor, Tensor]:
    """Returns the weights ``[E, O]`` of normal and reduction cells.

    Args:
        alphas: An ``Alphas``'s parameters, in its order.
        intermediate: Number of intermediate nodes of a cell.
    """
    if len(alphas) == len(KINDS):
        normal_EO, reduction_EO = (alpha_EO.softmax(1) for alpha_EO in alphas)
        return normal_EO, reduction_EO
    normal_EO, normal_E, reduction_EO, reduction_E = alphas
    return _weighed(normal_EO, normal_E, intermediate), _weighed(
        reduction_EO, reduction_E, intermediate
    )


def _weighed(alpha_EO: Tensor, edges_E: Tensor, intermediate: int) -> Tensor:
    counts = list(range(2, intermediate + 2))
    shares = [own.softmax(0) for own in torch.split(edges_E, counts)]
    return alpha_EO.softmax(1) * torch.cat(shares)[:, None]
