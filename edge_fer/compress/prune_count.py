"""What is left of a network's cost, counted from widths alone: fast enough for a search."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from edge_fer.compress.prune_coupling import Block, Side, is_depthwise
from edge_fer.models.complexity import describe, own_values

#: What can be counted: a search can try many networks.
COUNTED = ("macs", "params")


@dataclass(frozen=True, kw_only=True)
class Item:
    """A cost that is proportional to a layer's width, or to the product of both of its widths.

    Attributes:
        cost: Of the whole network.
        sides: To whose widths it is proportional.
    """

    cost: float
    sides: tuple[tuple[str, Side], ...]


def count_left(
    network: nn.Module, blocks: Sequence[Block], input_nchw: tuple[int, int, int, int], unit: str
) -> Callable[[Sequence[int]], float]:
    """Returns the function that tells what is left when so many channels of each block are gone.

    It is exact but for products of activations (attention), which it takes to be as they were.

    Args:
        network: The whole one.
        blocks: Its blocks.
        input_nchw: Of the network.
        unit: One of ``COUNTED``.
    """
    whole = describe(network, input_nchw)
    macs = {layer.name: layer.macs for layer in whole.layers}
    items = list(_mac_items(network, macs) if unit == "macs" else _value_items(network))
    total = whole.macs if unit == "macs" else whole.params_total
    fixed = total - sum(item.cost for item in items)
    widths = {
        (m.layer, m.side): _width(network, m.layer, m.side) for b in blocks for m in b.members
    }

    def left(gone: Sequence[int]) -> float:
        lost: Counter[tuple[str, Side]] = Counter()
        for block, count in zip(blocks, gone, strict=True):
            for member in block.members if count else ():
                lost[member.layer, member.side] += count * member.places_WP.shape[1]
        shares = {side: 1 - count / widths[side] for side, count in lost.items()}
        return fixed + sum(_scaled(item, shares) for item in items)

    return left


def _scaled(item: Item, shares: dict[tuple[str, Side], float]) -> float:
    cost = item.cost
    for side in item.sides:
        cost *= shares.get(side, 1.0)
    return cost


def _width(network: nn.Module, layer: str, side: Side) -> int:
    weight = network.get_submodule(layer).weight
    assert isinstance(weight, nn.Parameter)
    return weight.shape[0 if side == "out" else 1]


def _sides(name: str, layer: nn.Module) -> tuple[tuple[str, Side], ...]:
    return ((name, "out"),) if is_depthwise(layer) else ((name, "out"), (name, "in"))


def _mac_items(network: nn.Module, macs: dict[str, int]) -> Iterator[Item]:
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            yield Item(cost=macs[name], sides=_sides(name, layer))


def _value_items(network: nn.Module) -> Iterator[Item]:
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            yield Item(cost=layer.weight.numel(), sides=_sides(name, layer))
            if layer.bias is not None:
                yield Item(cost=layer.bias.numel(), sides=((name, "out"),))
        elif isinstance(layer, nn.BatchNorm2d):
            yield Item(cost=own_values(layer), sides=((name, "out"),))
