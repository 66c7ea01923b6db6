"""In which order channels go: chunks of channels, the least important first.

Shape suffix: W channels of a block.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

#: What stays of a block at least, however little its channels matter.
LEAST_SHARE = 1 / 8


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Channels of one block that go together.

    Attributes:
        block: Its number.
        channels: Their numbers in it.
        rank: Chunks go in the order of their ranks, which never fall within a block.
    """

    block: int
    channels: Tensor
    rank: float


def removal_order(
    scores: Sequence[Tensor],
    round_to: int,
    *,
    uniform: bool = False,
    saved: Callable[[int, int], float] | None = None,
) -> list[Chunk]:
    """Orders the chunks of all blocks.

    Args:
        scores: Of the channels of each block, ``[W]``, comparable between blocks.
        round_to: What widths become multiples of; a narrower block stays as it is.
        uniform: Take the same share of every block, instead of what matters least anywhere.
        saved: What is saved by a block's number and how many of its channels go: take what matters
            least for what it saves.
    """
    chunks = []
    for number, scores_W in enumerate(scores):
        cut = _cut(scores_W, round_to)
        if uniform:
            ranks: Iterable[float] = (gone / len(scores_W) for gone in accumulate(map(len, cut)))
        elif saved is None:
            ranks = (float(scores_W[channels].mean()) for channels in cut)
        else:
            ranks = (float(scores_W[gone].sum()) / saved(number, len(gone)) for gone in cut)
        for channels, rank in zip(cut, accumulate(ranks, max), strict=True):
            chunks.append(Chunk(block=number, channels=channels, rank=rank))
    return sorted(chunks, key=lambda chunk: chunk.rank)


def removed(order: Sequence[Chunk], blocks: int) -> list[Tensor]:
    """Collects the channels that go, for each of so many blocks."""
    none = torch.zeros(0, dtype=torch.int64)
    return [
        torch.cat([none, *(chunk.channels for chunk in order if chunk.block == number)])
        for number in range(blocks)
    ]


def _cut(scores_W: Tensor, round_to: int) -> list[Tensor]:
    """Cuts a block's channels, ascending by score, so that a multiple is left after each cut."""
    width = len(scores_W)
    least = max(1, -int(-width * LEAST_SHARE // round_to)) * round_to
    widths_left = [width, *range((width - 1) // round_to * round_to, least - 1, -round_to)]
    order_W = torch.argsort(scores_W, stable=True)
    return [order_W[width - before : width - after] for before, after in pairwise(widths_left)]
