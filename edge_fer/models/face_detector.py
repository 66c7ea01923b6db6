"""A small face detector: one look at a gray picture, faces of any size on one grid of cells.

Every 8 x 8 pixels have a cell, whose 15 channels ``edge_fer.runtime.faces.decode`` explains. Cells
see small faces through layers of stride 4 and 8, and large ones through layers of stride 16 and 32,
which are brought back up and added. All layers are ones that integers are fast in: convolutions
(plain where there are few channels, depthwise and pointwise where there are many), ReLU, addition,
and 2x2 transposed convolutions to go up. None knows the picture's size, so that one file serves
all whose sides are multiples of 32.

Shape suffixes: N images, C channels, H height, W width (pixels, or cells).
"""

from collections.abc import Callable

from torch import Tensor, nn

from edge_fer.models.blocks import conv_bn_relu
from edge_fer.runtime.faces.decode import CHANNELS

#: Sides of a picture are multiples of it.
TOTAL_STRIDE_PX = 32
#: What an untrained cell says of "a face is here", as a logit.
_UNLIKELY = -4.0


def _depthwise(channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def _linear(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class Residual(nn.Module):
    """Two layers and a way around them, then ReLU."""

    def __init__(self, channels: int, *, separable: bool) -> None:
        super().__init__()
        first = _depthwise(channels) if separable else conv_bn_relu(channels, channels, 3)
        self.layers = nn.Sequential(first, _linear(channels, channels, 1 if separable else 3))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Keeps the shape."""
        return nn.functional.relu(x_NCHW + self.layers(x_NCHW))


class Join(nn.Module):
    """Doubles height and width of coarse features and adds them to fine ones."""

    def __init__(self, coarse_channels: int, narrow_channels: int, channels: int) -> None:
        super().__init__()
        self.up = nn.Sequential(
            conv_bn_relu(coarse_channels, narrow_channels),
            nn.ConvTranspose2d(narrow_channels, channels, 2, 2),
        )

    def forward(self, coarse_NCHW: Tensor, fine_NCHW: Tensor) -> Tensor:
        """``[N, coarse, H / 2, W / 2]`` and ``[N, channels, H, W]`` to the latter's shape."""
        return nn.functional.relu(fine_NCHW + self.up(coarse_NCHW))


def _down(in_channels: int, channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        _depthwise(in_channels, stride=2),
        conv_bn_relu(in_channels, channels),
        *(Residual(channels, separable=True) for _ in range(blocks)),
    )


class FaceDetector(nn.Module):
    """The detector: 117,000 parameters.

    Input ``x_NCHW`` float32 ``[N, 1, H, W]``, gray as ``edge_fer.preprocess.normalise`` gives it,
    sides multiples of 32; output ``raw_NCHW`` float32 ``[N, 15, H / 8, W / 8]``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.at_4 = nn.Sequential(
            conv_bn_relu(1, 16, 3, stride=2),
            conv_bn_relu(16, 32, 3, stride=2),
            Residual(32, separable=False),
        )
        self.at_8 = nn.Sequential(
            conv_bn_relu(32, 48, 3, stride=2),
            Residual(48, separable=True),
            Residual(48, separable=True),
        )
        self.at_16 = _down(48, 64, 3)
        self.at_32 = _down(64, 64, 1)
        self.join_16 = Join(64, 32, 64)
        self.refine_16 = Residual(64, separable=True)
        self.join_8 = Join(64, 32, 48)
        self.head = conv_bn_relu(48, 48, 3)
        self.cells = nn.Conv2d(48, CHANNELS, 1)
        nn.init.zeros_(self.cells.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.cells.bias[:1], _UNLIKELY)  # type: ignore[index]

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Pictures to cells."""
        x8_NCHW = self.at_8(self.at_4(x_NCHW))
        x16_NCHW = self.at_16(x8_NCHW)
        x16_NCHW = self.refine_16(self.join_16(self.at_32(x16_NCHW), x16_NCHW))
        raw_NCHW: Tensor = self.cells(self.head(self.join_8(x16_NCHW, x8_NCHW)))
        return raw_NCHW


#: Networks that find faces, as ``MODELS`` has those that name expressions.
DETECTORS: dict[str, Callable[[], nn.Module]] = {"face-detector": FaceDetector}
