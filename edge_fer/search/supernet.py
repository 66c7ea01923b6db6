"""The network that is searched: on every edge all operations, mixed by weights.

The candidates are the modules of the final network (``OPERATIONS``); as in DARTS their batch norms
learn no scale, and pooling is normalised here and only here, so that the weights alone decide.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes, E edges of a cell,
O operations.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_fer.models.blocks import conv_bn_relu, global_average
from edge_fer.models.emonas import OPERATIONS, STEM_MULTIPLIER, FactorizedReduction
from edge_fer.search.discrete import SKIP
from edge_fer.search.space import CellPlan, Space, edges


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What guards change while a search goes on.

    Attributes:
        skip_dropout: Share of an identity's values that is dropped.
        auxiliary: Weight of the identity beside the mixture.
    """

    skip_dropout: float = 0.0
    auxiliary: float = 0.0


class MixedOperation(nn.Module):
    """All candidates of an edge, and their weighted sum.

    Args:
        channels: C; with ``share`` only ``C / share`` of them go through the candidates, and the
            others pass by, with the weight of the edge (Xu et al. 2020, PC-DARTS).
        stride: 1 or 2.
        share: See ``channels``.
        auxiliary: Whether an identity stands beside the mixture (Chu et al. 2021, DARTS-).
    """

    def __init__(self, channels: int, stride: int, *, share: int, auxiliary: bool) -> None:
        super().__init__()
        self.part, self.share, self.stride = channels // share, share, stride
        self.candidates = nn.ModuleDict({o: _candidate(o, self.part, stride) for o in OPERATIONS})
        self.auxiliary = OPERATIONS[SKIP](self.part, stride, False) if auxiliary else None

    def forward(self, x_NCHW: Tensor, weights_O: Tensor, moment: Moment) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C, H / stride, W / stride]``."""
        if self.share == 1:
            return self._mixed(x_NCHW, weights_O, moment)
        rest_NCHW = weights_O.sum() * x_NCHW[:, self.part :]
        if self.stride == 2:
            rest_NCHW = functional.max_pool2d(rest_NCHW, 2)
        mixed_NCHW = self._mixed(x_NCHW[:, : self.part], weights_O, moment)
        return functional.channel_shuffle(torch.cat((mixed_NCHW, rest_NCHW), 1), self.share)

    def _mixed(self, x_NCHW: Tensor, weights_O: Tensor, moment: Moment) -> Tensor:
        mixed_NCHW = torch.zeros((), device=x_NCHW.device)
        for weight, (name, candidate) in zip(weights_O, self.candidates.items(), strict=True):
            y_NCHW = candidate(x_NCHW)
            if name == SKIP and moment.skip_dropout:
                y_NCHW = functional.dropout(y_NCHW, moment.skip_dropout)
            mixed_NCHW = mixed_NCHW + weight * y_NCHW
        if self.auxiliary is not None:
            mixed_NCHW = mixed_NCHW + moment.auxiliary * self.auxiliary(x_NCHW)
        return mixed_NCHW


def _candidate(operation: str, channels: int, stride: int) -> nn.Module:
    module = OPERATIONS[operation](channels, stride, False)
    if "pool" not in operation:
        return module
    return nn.Sequential(module, nn.BatchNorm2d(channels, affine=False))


class SuperCell(nn.Module):
    """A cell with every edge that it may have.

    Args:
        plan: Its sizes.
        intermediate: Number of intermediate nodes.
        channels_before: Channels of the cell before the last.
        channels_previous: Channels of the last cell.
        after_reduction: Whether the last cell halved the size.
        share: See ``MixedOperation``.
        auxiliary: See ``MixedOperation``.
    """

    def __init__(
        self,
        plan: CellPlan,
        intermediate: int,
        channels_before: int,
        channels_previous: int,
        *,
        after_reduction: bool,
        share: int,
        auxiliary: bool,
    ) -> None:
        super().__init__()
        self.reduction, self.intermediate = plan.reduction, intermediate
        self.input_0 = (
            FactorizedReduction(channels_before, plan.channels, affine=False, relu=True)
            if after_reduction
            else conv_bn_relu(channels_before, plan.channels, affine=False)
        )
        self.input_1 = conv_bn_relu(channels_previous, plan.channels, affine=False)
        self.mixtures = nn.ModuleList(
            MixedOperation(
                plan.channels, plan.place(source).stride, share=share, auxiliary=auxiliary
            )
            for _, source in edges(intermediate)
        )

    def forward(
        self, before_NCHW: Tensor, previous_NCHW: Tensor, weights_EO: Tensor, moment: Moment
    ) -> Tensor:
        """Outputs of the two cells before to all intermediate nodes, concatenated."""
        states = [self.input_0(before_NCHW), self.input_1(previous_NCHW)]
        row = 0
        for _ in range(self.intermediate):
            terms = [
                self.mixtures[row + source](state, weights_EO[row + source], moment)
                for source, state in enumerate(states)
            ]
            row += len(states)
            states.append(functional.relu(torch.stack(terms).sum(0)))
        return torch.cat(states[2:], 1)


class SuperNet(nn.Module):
    """All networks of a space in one.

    Args:
        space: Its sizes.
        num_classes: K.
        in_channels: 1 or 3.
        share: See ``MixedOperation``.
        auxiliary: See ``MixedOperation``.
    """

    def __init__(
        self,
        space: Space,
        num_classes: int,
        in_channels: int,
        *,
        share: int = 1,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        before = previous = STEM_MULTIPLIER * space.channels
        self.stem = conv_bn_relu(in_channels, previous, 3)
        self.cells = nn.ModuleList()
        after_reduction = False
        for plan in space.plan:
            cell = SuperCell(
                plan,
                space.intermediate,
                before,
                previous,
                after_reduction=after_reduction,
                share=share,
                auxiliary=auxiliary,
            )
            self.cells.append(cell)
            before, previous = previous, space.intermediate * plan.channels
            after_reduction = plan.reduction
        self.classifier = nn.Linear(previous, num_classes)

    def forward(
        self, x_NCHW: Tensor, normal_EO: Tensor, reduction_EO: Tensor, moment: Moment
    ) -> Tensor:
        """Images to logits ``[N, K]``, under the weights of both kinds of cells."""
        before_NCHW = previous_NCHW = self.stem(x_NCHW)
        for cell in self.cells:
            weights_EO = reduction_EO if cell.reduction else normal_EO
            before_NCHW, previous_NCHW = (
                previous_NCHW,
                cell(before_NCHW, previous_NCHW, weights_EO, moment),
            )
        logits_NK: Tensor = self.classifier(global_average(previous_NCHW))
        return logits_NK
