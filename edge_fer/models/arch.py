"""ARCH-1 to ARCH-4: the compact CNNs of the ARCH paper (Tables 1-4), input 48x48x1.

|           | pooled head (Table)  | dense head (Table)     |
|-----------|----------------------|------------------------|
| separable | ARCH-1: 293,951 (1)  | ARCH-2: 1,142,463 (2)  |
| plain     | ARCH-3: 306,831 (3)  | ARCH-4: 1,155,343 (4)  |

The figures are parameters with batch-norm statistics (Keras convention) for 7 classes and a grey
input, and the networks below have exactly these. Where the tables leave room:

* Convolutions carry no bias except conv2d_6..9 of ARCH-1 and ARCH-2 and the convolutional
  classifier.
* The tables pool before the activation. ReLU and max pooling commute, to the bit; here ReLU comes
  first, because it then fuses into the convolution.
* Table 1 prints 32 parameters for the first convolution, Tables 2-4 print 72; a 3x3 kernel has 72.
* Tables 3 and 4 misprint the batch-norm rows; with one after each of the eleven convolutions the
  totals come out.
* The dense layers are listed without an activation row, but so is the last one, whose softmax is
  certain: activations are inside the dense rows, and the two of 512 get a ReLU here.
* The dropout that the text mentions is in none of the tables and in none of the networks.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes.
"""

from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.models.blocks import check_arguments, global_average

_DENSE_WIDTH = 512
_TOTAL_STRIDE = 16


class SeparableConv(nn.Sequential):
    """Depthwise 3x3 followed by pointwise 1x1, both without bias (Keras ``SeparableConv2D``)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
        )


def _conv_bn(in_channels: int, out_channels: int, *, bias: bool) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias),
        nn.BatchNorm2d(out_channels),
    ]


class SeparableResidual(nn.Module):
    """Two separable convolutions beside two 1x1 convolutions; halves height and width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            SeparableConv(in_channels, out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            SeparableConv(out_channels, out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, in_channels, 1, bias=False),
            nn.BatchNorm2d(in_channels),
            nn.Conv2d(in_channels, out_channels, 1, stride=2, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """``[N, in_channels, H, W]`` to ``[N, out_channels, H / 2, W / 2]``."""
        return nn.functional.relu(self.main(x_NCHW) + self.shortcut(x_NCHW))


def _separable_stem(in_channels: int) -> nn.Sequential:
    return nn.Sequential(
        *_conv_bn(in_channels, 8, bias=False),
        nn.ReLU(),
        *_conv_bn(8, 8, bias=False),
        nn.ReLU(),
        *_conv_bn(8, 16, bias=False),
        nn.ReLU(),
        *_conv_bn(16, 16, bias=False),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def _separable_trunk() -> nn.Sequential:
    return nn.Sequential(
        *_conv_bn(32, 64, bias=True),
        nn.ReLU(),
        *_conv_bn(64, 64, bias=True),
        nn.ReLU(),
        nn.MaxPool2d(2),
        *_conv_bn(64, 128, bias=True),
        nn.ReLU(),
        *_conv_bn(128, 128, bias=True),
        nn.ReLU(),
    )


def _plain_trunk(in_channels: int) -> nn.Sequential:
    stages = ((8, 8, 16, 16, 16), (32, 32), (64, 64), (128, 128))
    layers: list[nn.Module] = []
    for number, widths in enumerate(stages):
        if number:
            layers.append(nn.MaxPool2d(2))
        for width in widths:
            layers += [*_conv_bn(in_channels, width, bias=False), nn.ReLU()]
            in_channels = width
    return nn.Sequential(*layers)


def _dense_head(num_classes: int, size: int) -> nn.Sequential:
    if size < _TOTAL_STRIDE or size % _TOTAL_STRIDE:
        raise ModelError(f"a dense head needs a size divisible by {_TOTAL_STRIDE}, not {size}")
    return nn.Sequential(
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128 * (size // _TOTAL_STRIDE) ** 2, _DENSE_WIDTH),
        nn.ReLU(),
        nn.Linear(_DENSE_WIDTH, _DENSE_WIDTH),
        nn.ReLU(),
        nn.Linear(_DENSE_WIDTH, num_classes),
    )


class Arch1(nn.Module):
    """ARCH-1 (Table 1): separable, with a global-average-pooled convolutional classifier.

    Input ``x_NCHW`` float32 ``[N, in_channels, H, W]``, made for 48x48 and at home with any
    multiple of 8; output ``logits_NK`` float32 ``[N, K]``.
    """

    def __init__(self, num_classes: int = 7, in_channels: int = 1) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        self.stem = _separable_stem(in_channels)
        self.separable = SeparableResidual(16, 32)
        self.trunk = _separable_trunk()
        self.classifier = nn.Conv2d(128, num_classes, 3, padding=1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        features_NCHW = self.trunk(self.separable(self.stem(x_NCHW)))
        logits_NK: Tensor = global_average(self.classifier(features_NCHW))
        return logits_NK


class Arch2(nn.Module):
    """ARCH-2 (Table 2): separable, with a dense head.

    Input ``x_NCHW`` float32 ``[N, in_channels, size, size]``; output ``logits_NK`` float32 ``[N,
    K]``.

    Raises:
        ModelError: ``size`` (pixels) is not a multiple of 16.
    """

    def __init__(self, num_classes: int = 7, in_channels: int = 1, size: int = 48) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        self.stem = _separable_stem(in_channels)
        self.separable = SeparableResidual(16, 32)
        self.trunk = _separable_trunk()
        self.classifier = _dense_head(num_classes, size)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        logits_NK: Tensor = self.classifier(self.trunk(self.separable(self.stem(x_NCHW))))
        return logits_NK


class Arch3(nn.Module):
    """ARCH-3 (Table 3): plain, with a global-average-pooled convolutional classifier.

    Input ``x_NCHW`` float32 ``[N, in_channels, H, W]``, made for 48x48 and at home with any
    multiple of 8; output ``logits_NK`` float32 ``[N, K]``.
    """

    def __init__(self, num_classes: int = 7, in_channels: int = 1) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        self.trunk = _plain_trunk(in_channels)
        self.classifier = nn.Conv2d(128, num_classes, 3, padding=1)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        logits_NK: Tensor = global_average(self.classifier(self.trunk(x_NCHW)))
        return logits_NK


class Arch4(nn.Module):
    """ARCH-4 (Table 4): plain, with a dense head.

    Input ``x_NCHW`` float32 ``[N, in_channels, size, size]``; output ``logits_NK`` float32 ``[N,
    K]``.

    Raises:
        ModelError: ``size`` (pixels) is not a multiple of 16.
    """

    def __init__(self, num_classes: int = 7, in_channels: int = 1, size: int = 48) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        self.trunk = _plain_trunk(in_channels)
        self.classifier = _dense_head(num_classes, size)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        logits_NK: Tensor = self.classifier(self.trunk(x_NCHW))
        return logits_NK
