"""Mixed precision: which layers must stay in float, measured, and no others.

1. Everything is quantized. If the drop is within the limit, nothing stays in float.
2. Each layer is quantized alone, and the error of the logits against the float file is measured.
   That is its damage.
3. Layers stay in float in order of their damage, as few as keep the drop within the limit; how
   many is found by halving.

A network of more than 24 layers is searched in 24 groups of neighbours, so at most 31 files are
made.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from edge_fer.compress.layers import Layer, StaticQuantizer

MAX_GROUPS = 24


class Judge(Protocol):
    """Measures a quantized file against its float twin."""

    def logit_error(self, content: bytes) -> float:
        """Returns the root of the mean squared difference of the logits."""

    def drop_pt(self, content: bytes) -> float:
        """Returns what the file loses, in points of accuracy."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What quantizing one layer alone costs.

    Attributes:
        layer: The layer, or a group of neighbours.
        logit_error: Root of the mean squared error of the logits.
    """

    layer: Layer
    logit_error: float


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """A file in mixed precision and how it was found.

    Attributes:
        content: The file.
        kept: The layers that stay in float, worst first.
        damages: All layers, worst first; empty where nothing had to stay.
        drop_pt: What the file loses, in points.
        drop_all_pt: What it would lose with every layer quantized.
        tries: Files that were made.
    """

    content: bytes
    kept: tuple[Damage, ...]
    damages: tuple[Damage, ...]
    drop_pt: float
    drop_all_pt: float
    tries: int

    @property
    def kept_operators(self) -> frozenset[str]:
        """Names, in the file's own words, of the operators that stay in float."""
        return frozenset(name for damage in self.kept for name in damage.layer.operators)


def search_mixed(
    quantizer: StaticQuantizer,
    judge: Judge,
    max_drop_pt: float,
    on_try: Callable[[int, int], None] = lambda done, total: None,
) -> Mixed:
    """Finds the fewest layers, in order of damage, that must stay in float.

    If the drop is above the limit even with every layer in float, all of them stay; it is for the
    gate to fail then.

    Args:
        quantizer: Of the float file.
        judge: Measures a file.
        max_drop_pt: The most that may be lost, in points.
        on_try: Called before each file is made, with its number and the most there can be.
    """
    groups = merged(quantizer.layers, MAX_GROUPS)
    search = _Search(quantizer, on_try, tries_at_most(len(groups)))
    whole = search.make(())
    drop_all = judge.drop_pt(whole)
    if drop_all <= max_drop_pt:
        return Mixed(
            content=whole, kept=(), damages=(), drop_pt=drop_all, drop_all_pt=drop_all, tries=1
        )
    damages = [
        Damage(layer=group, logit_error=judge.logit_error(search.make_only(group, groups)))
        for group in groups
    ]
    damages.sort(key=lambda damage: damage.logit_error, reverse=True)
    found: dict[int, tuple[bytes, float]] = {}

    def is_enough(count: int) -> bool:
        content = search.make([damage.layer for damage in damages[:count]])
        found[count] = content, judge.drop_pt(content)
        return found[count][1] <= max_drop_pt

    count = _fewest(is_enough, len(damages))
    if count not in found:
        is_enough(count)
    content, drop = found[count]
    return Mixed(
        content=content,
        kept=tuple(damages[:count]),
        damages=tuple(damages),
        drop_pt=drop,
        drop_all_pt=drop_all,
        tries=search.tries,
    )


def _fewest(is_enough: Callable[[int], bool], most: int) -> int:
    """Halves 1 .. ``most`` until one is left; ``most`` itself may go untried."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if is_enough(middle):
            high = middle
        else:
            low = middle + 1
    return low


def tries_at_most(groups: int) -> int:
    """Most files that a search over so many groups makes."""
    return 1 + groups + math.ceil(math.log2(max(1, groups))) + 1


def merged(layers: Sequence[Layer], groups: int) -> tuple[Layer, ...]:
    """Joins neighbours until there are at most so many groups, as even as can be."""
    if len(layers) <= groups:
        return tuple(layers)
    starts = [round(index * len(layers) / groups) for index in range(groups + 1)]
    parts = [layers[first:end] for first, end in pairwise(starts)]
    return tuple(
        Layer(
            name=part[0].name if len(part) == 1 else f"{part[0].name} .. {part[-1].name}",
            operators=tuple(name for layer in part for name in layer.operators),
        )
        for part in parts
    )


class _Search:
    """Makes files and counts them."""

    def __init__(
        self, quantizer: StaticQuantizer, on_try: Callable[[int, int], None], most: int
    ) -> None:
        self._quantizer, self._on_try, self._most = quantizer, on_try, most
        self.tries = 0

    def make(self, kept: Sequence[Layer]) -> bytes:
        self.tries += 1
        self._on_try(self.tries, self._most)
        return self._quantizer.quantize([name for layer in kept for name in layer.operators])

    def make_only(self, quantized: Layer, layers: Sequence[Layer]) -> bytes:
        return self.make([layer for layer in layers if layer is not quantized])
