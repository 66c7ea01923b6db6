"""What is searched: how many cells and nodes, and where every operation of a network stands.

A node's number counts the two inputs first, so an edge of node 2 reads 0 or 1. Edges of a cell are
listed node after node, each node's by what they read: 4 intermediate nodes have 2 + 3 + 4 + 5.
"""

import re
from dataclasses import asdict, dataclass
from typing import NamedTuple

from edge_fer.errors import ModelError
from edge_fer.models.emonas import Genotype, Node, check_whole_number, reduction_cells

#: What the paper counts as nodes beside the intermediate ones: two inputs and an output.
OTHER_NODES = 3
_TEXT = re.compile(r"(\d+)x(\d+)x(\d+)@(\d+)")
#: Without weights: two of them that read the same are one in the file.
WEIGHTLESS = ("skip_connect", "avg_pool_3x3", "max_pool_3x3")


class Place(NamedTuple):
    """Where an operation stands: all that its time depends on, beside its name."""

    channels: int
    size_px: int
    stride: int


class Part(NamedTuple):
    """An operation of a network, at its place."""

    operation: str
    place: Place


@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """One cell of a network.

    Attributes:
        reduction: Whether it halves height and width.
        channels: Of its nodes.
        size_px: Side of what its inputs become before any operation.
    """

    reduction: bool
    channels: int
    size_px: int

    def place(self, source: int) -> Place:
        """Returns where an operation on node ``source`` stands."""
        if self.reduction and source < 2:
            return Place(self.channels, self.size_px, 2)
        return Place(self.channels, self.size_px // 2 if self.reduction else self.size_px, 1)


@dataclass(frozen=True, kw_only=True)
class Space:
    """Sizes of the networks that genotypes stand for.

    Attributes:
        cells: Number of cells, at least 3.
        nodes: Of a cell as the paper counts them: two inputs, the intermediate ones, the output.
        channels: Of a node in the first cell.
        input_px: Side of the input, a multiple of 4.

    Raises:
        ModelError: No network has these sizes.
    """

    cells: int = 5
    nodes: int = 7
    channels: int = 36
    input_px: int = 48

    def __post_init__(self) -> None:
        check_whole_number("cells", self.cells, least=3)
        check_whole_number("nodes", self.nodes, least=OTHER_NODES + 1)
        check_whole_number("channels", self.channels, least=2)
        check_whole_number("input_px", self.input_px, least=4)
        if self.input_px % 4:
            raise ModelError(f"input_px {self.input_px} is not a multiple of 4")

    @property
    def intermediate(self) -> int:
        """Number of intermediate nodes."""
        return self.nodes - OTHER_NODES

    @property
    def plan(self) -> tuple[CellPlan, ...]:
        """The cells, in order."""
        plans, channels, size_px = [], self.channels, self.input_px
        for position in range(self.cells):
            reduction = position in reduction_cells(self.cells)
            channels *= 2 if reduction else 1
            plans.append(CellPlan(reduction=reduction, channels=channels, size_px=size_px))
            size_px //= 2 if reduction else 1
        return tuple(plans)

    @property
    def places(self) -> tuple[Place, ...]:
        """All places that an operation can have, each once, in the order of the network."""
        sources = range(self.intermediate + 1)
        return tuple(dict.fromkeys(cell.place(source) for cell in self.plan for source in sources))

    def to_dict(self) -> dict[str, int]:
        """Returns plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.cells}x{self.nodes}x{self.channels}@{self.input_px}"


def parse_space(text: str) -> Space:
    """Reads ``CELLSxNODESxCHANNELS@PX``, e.g. ``5x7x36@48``.

    Raises:
        ModelError: It is not of that form, or no network has these sizes.
    """
    match = _TEXT.fullmatch(text)
    if not match:
        raise ModelError(f"{text!r} is not CELLSxNODESxCHANNELS@PX, e.g. 5x7x36@48")
    cells, nodes, channels, input_px = map(int, match.groups())
    return Space(cells=cells, nodes=nodes, channels=channels, input_px=input_px)


def edges(intermediate: int) -> list[tuple[int, int]]:
    """Returns ``(node, source)`` of every edge of a cell, in the order of alpha's rows."""
    return [(node, source) for node in range(2, intermediate + 2) for source in range(node)]


def parts_of(genotype: Genotype, space: Space) -> list[Part]:
    """Returns the operations of a network; what the file has once is there once."""
    parts: list[Part] = []
    for cell in space.plan:
        nodes = genotype.reduction if cell.reduction else genotype.normal
        parts += [Part(operation, cell.place(source)) for operation, source in _stored(nodes, cell)]
    return parts


def _stored(nodes: tuple[Node, ...], cell: CellPlan) -> list[tuple[str, int]]:
    read = [(edge.operation, edge.source) for node in nodes for edge in node]
    shared = {one for one in read if one[0] in WEIGHTLESS and not _has_weights(one, cell)}
    return [one for one in read if one not in shared] + sorted(shared)


def _has_weights(read: tuple[str, int], cell: CellPlan) -> bool:
    """An identity that halves the size is a convolution."""
    return read[0] == "skip_connect" and cell.place(read[1]).stride == 2
