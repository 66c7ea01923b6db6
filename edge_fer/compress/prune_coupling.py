"""Which channels of a network can only go together: torch-pruning's dependency graph, as tables.

A channel that is taken out of one layer leaves others with it: the batch norm behind it, the next
layer's inputs, and whatever a sum, a product or a concatenation ties to it. ``blocks_of`` lists all
such sets once. Channels that touch the same layers form a block, so that a block cut to a multiple
of eight makes every layer that is made of such blocks a multiple of eight.
"""

import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch_pruning
from torch import Tensor, nn

from edge_fer.errors import ModelError

Side = Literal["in", "out"]
Layer = nn.Conv2d | nn.Linear | nn.BatchNorm2d
_LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
_ROOTS = (nn.Conv2d, nn.Linear)


class Place(NamedTuple):
    """One channel of one layer; batch norms and depthwise convolutions have outputs only."""

    layer: str
    side: Side
    channel: int


@dataclass(frozen=True, kw_only=True)
class Member:
    """What a block has in one layer.

    Attributes:
        layer: Path of the module, as in the state dict.
        side: Of it.
        places_WP: int64 ``[W, P]``: the layer's channels that go with each of the block's.
    """

    layer: str
    side: Side
    places_WP: Tensor


@dataclass(frozen=True, kw_only=True)
class Block:
    """Channels that touch the same layers; each goes with all of its places or stays.

    Attributes:
        members: At least one, in the order of the layers' names.
    """

    members: tuple[Member, ...]

    @property
    def width(self) -> int:
        """Number of channels."""
        return len(self.members[0].places_WP)


def is_depthwise(layer: nn.Module) -> bool:
    """True if each output of a convolution is made of the input of the same number."""
    return isinstance(layer, nn.Conv2d) and layer.groups > 1


def blocks_of(network: nn.Module, input_nchw: tuple[int, ...]) -> tuple[Block, ...]:
    """Finds all channels that may go; inputs and outputs of the network may not.

    Args:
        network: In evaluation mode; it is run once, and left as it was.
        input_nchw: Shape of its input; the first number is taken as 1.

    Raises:
        ModelError: The dependency graph contradicts itself.
    """
    alike: dict[Any, list[list[Place]]] = defaultdict(list)
    seen: set[Place] = set()
    for places in _couplings(network, input_nchw):
        known = seen.intersection(places)
        if not known:
            counts = Counter((place.layer, place.side) for place in places)
            alike[frozenset(counts.items())].append(places)
            seen.update(places)
        elif len(known) < len(places):
            raise ModelError(f"cannot prune: {places[0].layer} is tied to others ambiguously")
    return tuple(_block(channels) for channels in alike.values())


def _block(channels: list[list[Place]]) -> Block:
    members = sorted({(place.layer, place.side) for place in channels[0]})
    return Block(
        members=tuple(
            Member(
                layer=layer,
                side=side,
                places_WP=torch.tensor(
                    [[p.channel for p in places if p[:2] == (layer, side)] for places in channels]
                ),
            )
            for layer, side in members
        )
    )


def _couplings(network: nn.Module, input_nchw: tuple[int, ...]) -> Iterator[list[Place]]:
    """The places that go with each output channel of each layer, again for every such layer."""
    graph = _graph(network, input_nchw)
    names = {module: name for name, module in network.named_modules()}
    for root in names:
        if isinstance(root, _ROOTS) and root in graph.module2node and len(root.weight) > 1:
            prune = graph.get_pruner_of_module(root).prune_out_channels
            group = graph.get_pruning_group(root, prune, list(range(len(root.weight))))
            if not any(_is_end(graph, item.dep) for item in group):
                yield from _channels(graph, group, names)


def _channels(graph: Any, group: Any, names: dict[nn.Module, str]) -> Iterator[list[Place]]:
    channels: dict[int, list[Place]] = defaultdict(list)
    for item in group:
        layer = item.dep.target.module
        if isinstance(layer, _LAYERS):
            side = _side(graph, item.dep)
            if _width(layer, side) > 1:  # a layer of one channel is a gate, spread over all others
                for root, channel in zip(item.root_idxs, item.idxs, strict=True):
                    channels[root].append(Place(names[layer], side, channel))
    yield from channels.values()


def _graph(network: nn.Module, input_nchw: tuple[int, ...]) -> Any:
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.filterwarnings("ignore", "Unwrapped parameters", UserWarning)
        frozen = [p for p in network.parameters() if not p.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(True)
        try:
            x_NCHW = torch.zeros((1, *input_nchw[1:]))
            return torch_pruning.DependencyGraph().build_dependency(network, x_NCHW)
        finally:
            for parameter in frozen:
                parameter.requires_grad_(False)


def _is_end(graph: Any, dependency: Any) -> bool:
    """True for what the network gives out: nothing reads it."""
    return not dependency.target.outputs and graph.is_out_channel_pruning_fn(dependency.handler)


def _side(graph: Any, dependency: Any) -> Side:
    return "out" if graph.is_out_channel_pruning_fn(dependency.handler) else "in"


def _width(layer: Layer, side: Side) -> int:
    if isinstance(layer, nn.BatchNorm2d):
        return layer.num_features
    return layer.weight.shape[0 if side == "out" else 1]
