"""Takes channels out of a network."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edge_fer.compress.prune_coupling import Block, Member, Side
from edge_fer.models.structure import adopt_widths


def without(network: nn.Module, blocks: Sequence[Block], gone: Sequence[Tensor]) -> nn.Module:
    """Returns a copy without some channels; what is left keeps its weights.

    Args:
        network: The whole one.
        blocks: Its blocks.
        gone: For each block, int64 numbers of the channels to leave out.
    """
    weights = network.state_dict()
    for (layer, side), keep in _kept(network, blocks, gone).items():
        rows = keep.nonzero().flatten()
        for name in _tensors(network, layer, side):
            weights[name] = weights[name].index_select(0 if side == "out" else 1, rows)
    smaller = copy.deepcopy(network)
    adopt_widths(smaller, weights)
    smaller.load_state_dict(weights)
    return smaller


def _kept(
    network: nn.Module, blocks: Sequence[Block], gone: Sequence[Tensor]
) -> dict[tuple[str, Side], Tensor]:
    kept: dict[tuple[str, Side], Tensor] = {}
    for block, channels in zip(blocks, gone, strict=True):
        for member in block.members if len(channels) else ():
            keep = kept.setdefault((member.layer, member.side), _all_of(network, member))
            keep[member.places_WP[channels].flatten()] = False
    return kept


def _all_of(network: nn.Module, member: Member) -> Tensor:
    shape = network.state_dict()[f"{member.layer}.weight"].shape
    return torch.ones(shape[0 if member.side == "out" else 1], dtype=torch.bool)


def _tensors(network: nn.Module, layer: str, side: Side) -> list[str]:
    """Names of the tensors that have a row (or for inputs a column) per channel."""
    if side == "in":
        return [f"{layer}.weight"]
    state = network.get_submodule(layer).state_dict()
    return [f"{layer}.{name}" for name, tensor in state.items() if tensor.ndim]
