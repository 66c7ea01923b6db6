"""EmoNAS: the final network, built from a genotype (EmoNAS paper, sections 4 and 5.1).

A cell takes the outputs of the two cells before it; each of its intermediate nodes adds two
operations on earlier nodes; its output is all intermediate nodes, concatenated. Cells at 1/3 and
2/3 of the depth halve the size and double the channels. Stem (3 x 36 channels), cells, global
average pooling, classes. The paper's "7 nodes" are 2 inputs, 4 intermediate ones and 1 output.

Five cells, 36 channels, 4 nodes and 7 classes have from 273,427 (all pooling) to 1,325,779 (all
sep_conv_5x5) trainable parameters; the paper's Table 13 has 0.49 M to 1.36 M.

Two things differ from the usual cells of differentiable search, and neither changes a parameter
count:

* ReLU stands after the sum of a node instead of before each convolution that reads it. Identity and
  pooling therefore see rectified values; everything else is the same function. Each ReLU fuses into
  the addition or the convolution before it, where a ReLU of its own is slow in INT8.
* Pooling pads with zeros explicitly and then pools unpadded. Padded average pooling that leaves the
  padding out of the mean does not quantize in TFLite, and padded stride-2 max pooling would pad
  with minus infinity. So averages at the border count the zeros, in training as in the artifact,
  while for the maximum zeros change nothing, since no node is negative.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.files import write_atomic
from edge_fer.models.blocks import check_arguments, conv_bn_relu, global_average

SCHEMA = "edge-fer/genotype/1"
STEM_MULTIPLIER = 3


class SeparableConv(nn.Sequential):
    """Depthwise and pointwise convolution, twice, as in DARTS; the first pair takes the stride."""

    def __init__(self, channels: int, kernel: int, stride: int, *, affine: bool) -> None:
        def depthwise(stride: int) -> nn.Conv2d:
            return nn.Conv2d(
                channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False
            )

        super().__init__(
            depthwise(stride),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, affine=affine),
            nn.ReLU(),
            depthwise(1),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, affine=affine),
        )


class DilatedConv(nn.Sequential):
    """Depthwise convolution with dilation 2, pointwise convolution, batch norm."""

    def __init__(self, channels: int, kernel: int, stride: int, *, affine: bool) -> None:
        super().__init__(
            nn.Conv2d(
                channels, channels, kernel, stride, kernel - 1, 2, groups=channels, bias=False
            ),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels, affine=affine),
        )


class FactorizedReduction(nn.Module):
    """Halves height and width (both even) with two 1x1 convolutions a pixel apart."""

    def __init__(self, in_channels: int, out_channels: int, *, affine: bool, relu: bool) -> None:
        super().__init__()
        half = out_channels // 2
        self.even = _strided(in_channels, half, affine=affine, relu=relu)
        self.odd = _strided(in_channels, out_channels - half, affine=affine, relu=relu)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """``[N, in_channels, H, W]`` to ``[N, out_channels, H / 2, W / 2]``."""
        return torch.cat((self.even(x_NCHW), self.odd(x_NCHW[:, :, 1:, 1:])), 1)


def _strided(in_channels: int, out_channels: int, *, affine: bool, relu: bool) -> nn.Sequential:
    conv, norm, activation = conv_bn_relu(in_channels, out_channels, stride=2, affine=affine)
    return nn.Sequential(conv, norm, *([activation] if relu else []))


def _pool(pool: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.ZeroPad2d(1), pool)


def _skip(channels: int, stride: int, affine: bool) -> nn.Module:
    if stride == 1:
        return nn.Identity()
    return FactorizedReduction(channels, channels, affine=affine, relu=False)


#: The candidates of the search, by name: ``(channels, stride, affine) -> module``, which maps
#: ``[N, channels, H, W]`` to ``[N, channels, H / stride, W / stride]``. ``affine`` is whether batch
#: norms learn a scale and a shift. Inputs must not be negative (see the module's docstring).
OPERATIONS: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "sep_conv_3x3": lambda c, stride, affine: SeparableConv(c, 3, stride, affine=affine),
    "sep_conv_5x5": lambda c, stride, affine: SeparableConv(c, 5, stride, affine=affine),
    "skip_connect": _skip,
    "avg_pool_3x3": lambda c, stride, affine: _pool(nn.AvgPool2d(3, stride)),
    "max_pool_3x3": lambda c, stride, affine: _pool(nn.MaxPool2d(3, stride)),
    "dil_conv_3x3": lambda c, stride, affine: DilatedConv(c, 3, stride, affine=affine),
    "dil_conv_5x5": lambda c, stride, affine: DilatedConv(c, 5, stride, affine=affine),
}


class Edge(NamedTuple):
    """One operation of a node.

    Attributes:
        operation: A name in ``OPERATIONS``.
        source: What it reads: 0 the cell before the last, 1 the last cell, 2... the nodes of this
        cell.
    """

    operation: str
    source: int


Node = tuple[Edge, Edge]


@dataclass(frozen=True, kw_only=True)
class Genotype:
    """Everything a search decides.

    Attributes:
        normal: Intermediate nodes of the cells that keep the size.
        reduction: Intermediate nodes of the cells that halve it; as many.
        cells: Number of cells, at least 3.
        channels: Channels of a node in the first cell.

    Raises:
        ModelError: A value that no network can be built from.
    """

    normal: tuple[Node, ...]
    reduction: tuple[Node, ...]
    cells: int = 5
    channels: int = 36

    def __post_init__(self) -> None:
        check_nodes("normal", self.normal)
        check_nodes("reduction", self.reduction)
        if len(self.normal) != len(self.reduction):
            raise ModelError("genotype: normal and reduction cells need the same number of nodes")
        check_whole_number("cells", self.cells, least=3)
        check_whole_number("channels", self.channels, least=2)


def check_nodes(name: str, nodes: tuple[Node, ...]) -> None:
    """Raises ``ModelError`` unless nodes have two known operations on distinct earlier nodes."""
    if not nodes:
        raise ModelError(f"genotype: {name} has no nodes")
    for number, node in enumerate(nodes, start=2):
        place = f"genotype: {name} node {number}"
        for operation, source in node:
            if operation not in OPERATIONS:
                known = ", ".join(OPERATIONS)
                raise ModelError(f"{place}: unknown operation {operation!r}; known: {known}")
            if not 0 <= source < number:
                raise ModelError(f"{place}: reads node {source}, which does not come before it")
        if node[0].source == node[1].source:
            raise ModelError(f"{place}: reads node {node[0].source} twice")


def check_whole_number(name: str, value: object, *, least: int) -> None:
    """Raises ``ModelError`` unless ``value`` is an ``int`` from ``least`` on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ModelError(f"genotype: {name} is {value!r}, not a whole number from {least}")


def parse_nodes(name: str, document: object) -> tuple[Node, ...]:
    """Reads nodes as JSON has them: ``[[["sep_conv_3x3", 0], ["skip_connect", 1]], ...]``.

    Raises:
        ModelError: Not of that form. What the names and numbers mean is not checked here.
    """
    if not isinstance(document, list):
        raise ModelError(f"genotype: {name} is not a list of nodes")
    return tuple(_parse_node(f"genotype: {name} node {i}", n) for i, n in enumerate(document, 2))


def _parse_node(place: str, document: object) -> Node:
    if not isinstance(document, list) or len(document) != 2:
        raise ModelError(f"{place}: is not a pair of operations")
    first, second = document
    return _parse_edge(place, first), _parse_edge(place, second)


def _parse_edge(place: str, document: object) -> Edge:
    if (
        not isinstance(document, list)
        or len(document) != 2
        or not isinstance(document[0], str)
        or not isinstance(document[1], int)
        or isinstance(document[1], bool)
    ):
        raise ModelError(f'{place}: {document!r} is not of the form ["operation", source]')
    return Edge(document[0], document[1])


def parse_genotype(document: object) -> Genotype:
    """Reads a genotype from what ``json.loads`` gives.

    Raises:
        ModelError: Not a genotype, or one that no network can be built from.
    """
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise ModelError(f"genotype: not a JSON object with schema {SCHEMA}")
    unknown = set(document) - {"schema", "normal", "reduction", "cells", "channels"}
    if unknown:
        raise ModelError(f"genotype: unknown keys {', '.join(sorted(map(str, unknown)))}")
    return Genotype(
        normal=parse_nodes("normal", document.get("normal")),
        reduction=parse_nodes("reduction", document.get("reduction")),
        cells=document.get("cells", 5),
        channels=document.get("channels", 36),
    )


def nodes_document(nodes: tuple[Node, ...]) -> list[list[list[str | int]]]:
    """The inverse of ``parse_nodes``."""
    return [[[edge.operation, edge.source] for edge in node] for node in nodes]


def genotype_document(genotype: Genotype) -> dict[str, object]:
    """What ``json.dumps`` takes; the inverse of ``parse_genotype``."""
    return {
        "schema": SCHEMA,
        "normal": nodes_document(genotype.normal),
        "reduction": nodes_document(genotype.reduction),
        "cells": genotype.cells,
        "channels": genotype.channels,
    }


def load_genotype(path: Path) -> Genotype:
    """Reads a genotype from a JSON file.

    Raises:
        ModelError: No such file, or not a genotype.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable genotype ({error})") from error
    return parse_genotype(document)


def save_genotype(path: Path, genotype: Genotype) -> None:
    """Writes a genotype as JSON, atomically.

    Raises:
        OutputError: The file cannot be written.
    """
    text = json.dumps(genotype_document(genotype), indent=2) + "\n"
    write_atomic(path, lambda file: file.write_text(text, encoding="utf-8"))


#: What a reduced search on FER2013 found within a latency in INT8 (benchmarks/search/fer2013-cpu):
#: cells without average pooling, which INT8 runs slowly, and with what is large in reduction cells.
DEFAULT_GENOTYPE = Genotype(
    normal=(
        (Edge("dil_conv_3x3", 0), Edge("sep_conv_3x3", 1)),
        (Edge("skip_connect", 0), Edge("max_pool_3x3", 1)),
        (Edge("skip_connect", 0), Edge("max_pool_3x3", 1)),
        (Edge("dil_conv_5x5", 0), Edge("max_pool_3x3", 1)),
    ),
    reduction=(
        (Edge("skip_connect", 0), Edge("max_pool_3x3", 1)),
        (Edge("sep_conv_3x3", 1), Edge("dil_conv_3x3", 2)),
        (Edge("dil_conv_5x5", 0), Edge("dil_conv_3x3", 3)),
        (Edge("dil_conv_5x5", 1), Edge("sep_conv_3x3", 4)),
    ),
)


class Cell(nn.Module):
    """A cell of fixed operations, whose nodes have ``channels`` channels each.

    Args:
        nodes: Its intermediate nodes.
        channels_before: Channels of the cell before the last.
        channels_previous: Channels of the last cell.
        channels: Channels of a node; the output has ``len(nodes)`` times as many.
        reduction: Whether it halves height and width.
        after_reduction: Whether the last cell did, so that the one before it is twice as large.
    """

    def __init__(
        self,
        nodes: tuple[Node, ...],
        channels_before: int,
        channels_previous: int,
        channels: int,
        *,
        reduction: bool,
        after_reduction: bool,
    ) -> None:
        super().__init__()
        self.input_0 = (
            FactorizedReduction(channels_before, channels, affine=True, relu=True)
            if after_reduction
            else conv_bn_relu(channels_before, channels)
        )
        self.input_1 = conv_bn_relu(channels_previous, channels)
        self.sources = [(first.source, second.source) for first, second in nodes]
        self.operations = nn.ModuleList(
            OPERATIONS[edge.operation](channels, 2 if reduction and edge.source < 2 else 1, True)
            for node in nodes
            for edge in node
        )

    def forward(self, before_NCHW: Tensor, previous_NCHW: Tensor) -> Tensor:
        """Outputs of the two cells before to ``[N, nodes * channels, H, W]``, or half that size."""
        states = [self.input_0(before_NCHW), self.input_1(previous_NCHW)]
        for number, (first, second) in enumerate(self.sources):
            sum_NCHW = self.operations[2 * number](states[first])
            sum_NCHW = sum_NCHW + self.operations[2 * number + 1](states[second])
            states.append(nn.functional.relu(sum_NCHW))
        return torch.cat(states[2:], 1)


class EmoNas(nn.Module):
    """The final network of a search.

    Input ``x_NCHW`` float32 ``[N, in_channels, H, W]``, H and W multiples of 4 (the paper: 48 for
    FER2013, 120, 128 or 180 for the others); output ``logits_NK`` float32 ``[N, K]``.

    Args:
        num_classes: K.
        in_channels: 1 or 3.
        genotype: What the search found; JSON as ``genotype_document`` gives it will do.

    Raises:
        ModelError: Arguments that no network can be built from.
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_channels: int = 3,
        genotype: Genotype | Mapping[str, object] = DEFAULT_GENOTYPE,
    ) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        self.genotype = genotype if isinstance(genotype, Genotype) else parse_genotype(genotype)
        width = STEM_MULTIPLIER * self.genotype.channels
        self.stem = conv_bn_relu(in_channels, width, 3)
        self.cells, out_channels = _cells(self.genotype, width)
        self.classifier = nn.Linear(out_channels, num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        before_NCHW = previous_NCHW = self.stem(x_NCHW)
        for cell in self.cells:
            before_NCHW, previous_NCHW = previous_NCHW, cell(before_NCHW, previous_NCHW)
        logits_NK: Tensor = self.classifier(global_average(previous_NCHW))
        return logits_NK


def reduction_cells(cells: int) -> tuple[int, int]:
    """Positions, from 0, of the cells that halve the size: 1/3 and 2/3 of the depth."""
    return cells // 3, 2 * cells // 3


def _cells(genotype: Genotype, stem_channels: int) -> tuple[nn.ModuleList, int]:
    reductions = reduction_cells(genotype.cells)
    before = previous = stem_channels
    channels = genotype.channels
    cells = nn.ModuleList()
    for position in range(genotype.cells):
        reduction = position in reductions
        channels *= 2 if reduction else 1
        nodes = genotype.reduction if reduction else genotype.normal
        cell = Cell(
            nodes,
            before,
            previous,
            channels,
            reduction=reduction,
            after_reduction=position - 1 in reductions,
        )
        cells.append(cell)
        before, previous = previous, len(nodes) * channels
    return cells, previous
