"""ADL_Class: Auto-DeepLab's search space for classification (EmoNAS paper, section 5.4).

The ablation (Tables 6-8) searches two things at once: one cell, used everywhere, and the path that
a stack of cells takes through the downsampling levels 1/4, 1/8, 1/16 and 1/32. The paper gives no
sizes, so what is not Auto-DeepLab's own choice is said to be ours:

* Auto-DeepLab: a node has ``channels * 2**level`` channels; inputs are brought to a cell's level by
  bilinear resizing and a 1x1 convolution; a path starts at level 0 or 1 and moves by at most one
  level per cell. The segmentation head gives way to global average pooling and one dense layer.
* Ours: five cells of four nodes with 20 channels, as EmoNAS has five cells of four, instead of
  Auto-DeepLab's twelve of five; a stem of two stride-2 convolutions (32, 64) instead of three.

The operations are EmoNAS's seven, which are Auto-DeepLab's eight without "none".

Shape suffixes: N images, C channels, H height, W width (pixels), K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.models.blocks import check_arguments, conv_bn_relu, global_average
from edge_fer.models.emonas import (
    OPERATIONS,
    Edge,
    Node,
    check_nodes,
    check_whole_number,
    nodes_document,
    parse_nodes,
)

SCHEMA = "edge-fer/adl-genotype/1"
LEVELS = 4
_STEM_CHANNELS = (32, 64)


@dataclass(frozen=True, kw_only=True)
class AdlGenotype:
    """What a search over cells and paths decides.

    Attributes:
        cell: Intermediate nodes of every cell.
        path: Level of every cell: 0 is 1/4 of the input's size, 3 is 1/32.
        channels: Channels of a node at level 0; doubled at each level.

    Raises:
        ModelError: A value that no network can be built from.
    """

    cell: tuple[Node, ...]
    path: tuple[int, ...]
    channels: int = 20

    def __post_init__(self) -> None:
        check_nodes("cell", self.cell)
        check_whole_number("channels", self.channels, least=1)
        _check_path(self.path)


def _check_path(path: tuple[int, ...]) -> None:
    if not path:
        raise ModelError("genotype: path has no cells")
    previous = 0
    for cell, level in enumerate(path):
        check_whole_number(f"level of cell {cell}", level, least=0)
        if level >= LEVELS or abs(level - previous) > 1:
            raise ModelError(
                f"genotype: cell {cell} is at level {level} after level {previous}; "
                f"levels are 0 to {LEVELS - 1} and a path moves by at most one per cell"
            )
        previous = level


def parse_adl_genotype(document: object) -> AdlGenotype:
    """Reads a genotype from what ``json.loads`` gives.

    Raises:
        ModelError: Not a genotype, or one that no network can be built from.
    """
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise ModelError(f"genotype: not a JSON object with schema {SCHEMA}")
    path = document.get("path")
    if not isinstance(path, list):
        raise ModelError("genotype: path is not a list of levels")
    return AdlGenotype(
        cell=parse_nodes("cell", document.get("cell")),
        path=tuple(path),
        channels=document.get("channels", 20),
    )


def adl_genotype_document(genotype: AdlGenotype) -> dict[str, object]:
    """What ``json.dumps`` takes; the inverse of ``parse_adl_genotype``."""
    return {
        "schema": SCHEMA,
        "cell": nodes_document(genotype.cell),
        "path": list(genotype.path),
        "channels": genotype.channels,
    }


#: A placeholder by design: what ``adl-class`` is until a search supplies a genotype.
DEFAULT_ADL_GENOTYPE = AdlGenotype(
    cell=(
        (Edge("sep_conv_3x3", 0), Edge("sep_conv_3x3", 1)),
        (Edge("max_pool_3x3", 0), Edge("sep_conv_3x3", 2)),
        (Edge("skip_connect", 1), Edge("sep_conv_3x3", 3)),
        (Edge("skip_connect", 2), Edge("sep_conv_3x3", 4)),
    ),
    path=(0, 1, 1, 2, 2),
)


class ResizedInput(nn.Module):
    """Brings a feature map to a cell's size (bilinear) and channels (1x1 convolution, BN, ReLU)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.project = conv_bn_relu(in_channels, out_channels)

    def forward(self, x_NCHW: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """``[N, in_channels, any, any]`` to ``[N, out_channels, *size_hw]``."""
        if tuple(x_NCHW.shape[2:]) != size_hw:
            x_NCHW = nn.functional.interpolate(x_NCHW, size_hw, mode="bilinear")
        out_NCHW: Tensor = self.project(x_NCHW)
        return out_NCHW


class AdlCell(nn.Module):
    """A cell that keeps the size it is given."""

    def __init__(
        self, nodes: tuple[Node, ...], channels_before: int, channels_previous: int, channels: int
    ) -> None:
        super().__init__()
        self.input_0 = ResizedInput(channels_before, channels)
        self.input_1 = ResizedInput(channels_previous, channels)
        self.sources = [(first.source, second.source) for first, second in nodes]
        self.operations = nn.ModuleList(
            OPERATIONS[edge.operation](channels, 1, True) for node in nodes for edge in node
        )

    def forward(
        self, before_NCHW: Tensor, previous_NCHW: Tensor, size_hw: tuple[int, int]
    ) -> Tensor:
        """Outputs of the two cells before, of any size, to ``[N, nodes * channels, *size_hw]``."""
        states = [self.input_0(before_NCHW, size_hw), self.input_1(previous_NCHW, size_hw)]
        for number, (first, second) in enumerate(self.sources):
            sum_NCHW = self.operations[2 * number](states[first])
            sum_NCHW = sum_NCHW + self.operations[2 * number + 1](states[second])
            states.append(nn.functional.relu(sum_NCHW))
        return torch.cat(states[2:], 1)


class AdlClass(nn.Module):
    """A stack of equal cells along a path through the levels.

    Input ``x_NCHW`` float32 ``[N, in_channels, H, W]``, any size from 32 pixels; output
    ``logits_NK`` float32 ``[N, K]``.

    Args:
        num_classes: K.
        in_channels: 1 or 3.
        genotype: What the search found; JSON as ``adl_genotype_document`` gives it will do.

    Raises:
        ModelError: Arguments that no network can be built from.
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_channels: int = 3,
        genotype: AdlGenotype | Mapping[str, object] = DEFAULT_ADL_GENOTYPE,
    ) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        if not isinstance(genotype, AdlGenotype):
            genotype = parse_adl_genotype(genotype)
        self.genotype = genotype
        first, second = _STEM_CHANNELS
        self.stem = nn.Sequential(
            conv_bn_relu(in_channels, first, 3, stride=2), conv_bn_relu(first, second, 3, stride=2)
        )
        self.cells = nn.ModuleList()
        before = previous = second
        for level in self.genotype.path:
            channels = self.genotype.channels * 2**level
            self.cells.append(AdlCell(self.genotype.cell, before, previous, channels))
            before, previous = previous, len(self.genotype.cell) * channels
        self.classifier = nn.Linear(previous, num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        before_NCHW = previous_NCHW = self.stem(x_NCHW)
        height, width = previous_NCHW.shape[2:]
        for cell, level in zip(self.cells, self.genotype.path, strict=True):
            size_hw = (-(-height // 2**level), -(-width // 2**level))
            before_NCHW, previous_NCHW = previous_NCHW, cell(before_NCHW, previous_NCHW, size_hw)
        logits_NK: Tensor = self.classifier(global_average(previous_NCHW))
        return logits_NK
