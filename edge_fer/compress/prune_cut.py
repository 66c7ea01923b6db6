"""One cut: the least important channels go until the budget is met."""

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn

from edge_fer.compress.prune_budget import Cost, least_cut
from edge_fer.compress.prune_count import COUNTED, count_left
from edge_fer.compress.prune_coupling import Block, blocks_of
from edge_fer.compress.prune_importance import (
    Scores,
    magnitude_scores,
    scale_scores,
    score_blocks,
    taylor_scores,
)
from edge_fer.compress.prune_request import Method
from edge_fer.compress.prune_selection import Chunk, removal_order, removed
from edge_fer.compress.prune_slicing import without

#: Yields the loss of a network on one batch after the other.
Losses = Callable[[nn.Module], Iterator[Tensor]]


def cut(
    network: nn.Module,
    input_nchw: tuple[int, int, int, int],
    method: Method,
    *,
    cost: Cost,
    limit: float,
    unit: str,
    losses: Losses | None,
) -> nn.Module:
    """Returns the widest pruned copy of a network that does not cost more than it may.

    Args:
        network: In evaluation mode.
        input_nchw: Of it.
        method: Which channels go.
        cost: Of a network.
        limit: What it may cost.
        unit: Of both, for messages.
        losses: For importance by ``taylor``.

    Raises:
        ModelError: No pruning meets the limit.
    """
    blocks = blocks_of(network, input_nchw)
    price = count_left(network, blocks, input_nchw, unit if unit in COUNTED else "macs")
    order = _order(network, method, blocks, losses, price)

    def left(gone: Sequence[Chunk]) -> nn.Module:
        return without(network, blocks, removed(gone, len(blocks)))

    if unit not in COUNTED:
        count = least_cut(len(order), lambda count: cost(left(order[:count])), limit, unit)
        return left(order[:count])

    def price_of(gone: Sequence[Chunk]) -> float:
        return price([len(channels) for channels in removed(gone, len(blocks))])

    count = least_cut(len(order), lambda count: price_of(order[:count]), limit, unit)
    return left(_refilled(order[:count], lambda gone: price_of(gone) <= limit))


def _order(
    network: nn.Module,
    method: Method,
    blocks: Sequence[Block],
    losses: Losses | None,
    price: Callable[[Sequence[int]], float],
) -> list[Chunk]:
    by_cost = method.spread == "cost"
    scores = _scores(network, method, losses)
    of_blocks = score_blocks(blocks, scores, magnitude_scores(network), relative=not by_cost)
    whole = price([0] * len(blocks))

    def saved(block: int, count: int) -> float:
        gone = [count if number == block else 0 for number in range(len(blocks))]
        return max(whole - price(gone), 1.0)

    uniform = method.spread == "uniform"
    return removal_order(
        of_blocks, method.round_to, uniform=uniform, saved=saved if by_cost else None
    )


def _refilled(gone: list[Chunk], fits: Callable[[list[Chunk]], bool]) -> list[Chunk]:
    """Puts back what still fits: at most the last chunk of each block, the most important first."""
    tried: set[int] = set()
    for chunk in reversed(gone):
        if chunk.block not in tried:
            tried.add(chunk.block)
            fewer = [other for other in gone if other is not chunk]
            gone = fewer if fits(fewer) else gone
    return gone


def _scores(network: nn.Module, method: Method, losses: Losses | None) -> Scores:
    importance = method.importance
    if importance == "auto":
        importance = "taylor" if losses else "magnitude"
    if importance == "taylor":
        assert losses is not None
        return taylor_scores(network, losses(network))
    return scale_scores(network) if importance == "scale" else magnitude_scores(network)
