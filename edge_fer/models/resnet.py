"""A residual network of basic blocks (He et al. 2016, "Deep residual learning"), for 48x48 faces.

Its widths and depths are options. It is built of what INT8 runs fast, full convolutions at an early
stride, and serves as a teacher (wide) and as a student (narrow). No paper of the zoo has it.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.models.blocks import check_arguments


def _conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def _separable(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Depthwise and pointwise, nothing rectified in between (Chollet 2017, Xception, figure 10)."""
    depthwise = nn.Conv2d(in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=False)
    return nn.Sequential(
        depthwise, nn.BatchNorm2d(in_channels), *_conv_bn(in_channels, out_channels, 1, 1)
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, full or depthwise separable, and a shortcut."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, *, separable: bool = False
    ) -> None:
        super().__init__()

        def conv(in_channels: int, stride: int) -> nn.Sequential:
            if separable:
                return _separable(in_channels, out_channels, stride)
            return _conv_bn(in_channels, out_channels, 3, stride)

        self.main = nn.Sequential(conv(in_channels, stride), nn.ReLU(), conv(out_channels, 1))
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else _conv_bn(in_channels, out_channels, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C', H / stride, W / stride]``."""
        out_NCHW: Tensor = self.relu(self.main(x_NCHW) + self.shortcut(x_NCHW))
        return out_NCHW


def _check_stages(
    widths: Sequence[int], blocks: Sequence[int], strides: Sequence[int], full_stages: int
) -> None:
    """Refuses stages that do not fit each other; the first of the strides is the stem's."""
    if not {*strides} <= {1, 2}:
        raise ModelError(f"resnet: a stride is 1 or 2, which not all are of {list(strides)}")
    if len(widths) != len(blocks) or not widths or min((*widths, *blocks)) < 1:
        raise ModelError(f"resnet: widths {list(widths)} and blocks {list(blocks)} do not fit")
    if len(strides) - 1 != len(widths):
        raise ModelError(f"resnet: {len(strides) - 1} strides for {len(widths)} stages")
    if not 0 <= full_stages <= len(widths):
        raise ModelError(f"resnet: no stage {full_stages} among {len(widths)}")


class ResNet(nn.Module):
    """A stem, stages of basic blocks, a linear head.

    Input ``x_NCHW`` float32 ``[N, in_channels, 48, 48]``; output ``logits_NK`` float32 ``[N, K]``.

    Args:
        num_classes: K.
        in_channels: 1 or 3.
        widths: Channels of each stage; the stem has the first's.
        blocks: Blocks in each stage.
        dropout: Before the head.
        separable_from: The first stage, from 0, whose convolutions are depthwise separable: the
            widest stages hold most parameters, and their depthwise convolutions cost little time.
        stem_stride: 2, or 1 to look at every pixel in the first stage too.
        strides: 1 or 2 for each stage, its first block's; without them 2 from the second stage on.
            A stage that keeps its size costs time, not parameters.

    Raises:
        ModelError: Arguments that no network can be built from.
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_channels: int = 1,
        widths: Sequence[int] = (32, 64, 128, 256),
        blocks: Sequence[int] = (2, 2, 2, 2),
        dropout: float = 0.0,
        separable_from: int | None = None,
        stem_stride: int = 2,
        strides: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        strides = strides or [1, *[2] * (len(widths) - 1)]
        full_stages = len(widths) if separable_from is None else separable_from
        _check_stages(widths, blocks, [stem_stride, *strides], full_stages)
        self.stem = nn.Sequential(_conv_bn(in_channels, widths[0], 3, stem_stride), nn.ReLU())
        layers: list[nn.Module] = []
        channels = widths[0]
        for stage, (width, stride) in enumerate(zip(widths, strides, strict=True)):
            separable = stage >= full_stages
            for first in (stride, *[1] * (blocks[stage] - 1)):
                layers.append(BasicBlock(channels, width, first, separable=separable))
                channels = width
        self.trunk = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        features_NC = self.pool(self.trunk(self.stem(x_NCHW))).flatten(1)
        logits_NK: Tensor = self.classifier(self.dropout(features_NC))
        return logits_NK
