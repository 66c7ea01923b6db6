"""What more than one network is built from.

Shape suffixes: N images, C channels, H height, W width, T tokens, O output and I input channels of
a kernel. Spatial sizes are in pixels of the feature map.
"""

import torch
from torch import Tensor, nn

from edge_fer.errors import ModelError


def check_arguments(num_classes: int, in_channels: int) -> None:
    """Checks what every network is told.

    Raises:
        ModelError: Fewer than two classes, or neither a grey (1) nor a colour (3) input.
    """
    if num_classes < 2:
        raise ModelError(f"a classifier needs at least 2 classes, not {num_classes}")
    if in_channels not in (1, 3):
        raise ModelError(f"an input has 1 (grey) or 3 (colour) channels, not {in_channels}")


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, affine: bool = True
) -> nn.Sequential:
    """Convolution without bias, batch norm, ReLU; pads to keep the size (divided by ``stride``)."""
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False
        ),
        nn.BatchNorm2d(out_channels, affine=affine),
        nn.ReLU(),
    )


class SameConv2d(nn.Conv2d):
    """Convolution with the "same" padding of Keras and TensorFlow.

    ``[N, I, H, W]`` becomes ``[N, O, ceil(H / stride), ceil(W / stride)]``. An odd pixel of padding
    goes to the right and to the bottom, where ``nn.Conv2d(padding=...)`` would pad both sides:
    weights trained with the one see a picture shifted by a pixel with the other.
    """

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """``[N, I, H, W]`` to ``[N, O, ceil(H / stride), ceil(W / stride)]``."""
        top, bottom = _same_padding(x_NCHW.shape[2], self.kernel_size[0], self.stride[0])
        left, right = _same_padding(x_NCHW.shape[3], self.kernel_size[1], self.stride[1])
        if top or bottom or left or right:
            x_NCHW = nn.functional.pad(x_NCHW, (left, right, top, bottom))
        return super().forward(x_NCHW)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    out_size = -(-size // stride)
    total = max((out_size - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def same_conv(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> nn.Conv2d:
    """The cheapest convolution with Keras's "same" padding.

    At stride 1 and an odd kernel both conventions agree, and the padding needs no operator of its
    own.
    """
    if stride == 1 and kernel % 2:
        return nn.Conv2d(
            in_channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=bias
        )
    return SameConv2d(in_channels, out_channels, kernel, stride=stride, groups=groups, bias=bias)


def global_average(x_NCHW: Tensor) -> Tensor:
    """Mean over height and width, ``[N, C]``; in a form that exports without a transpose."""
    return x_NCHW.mean((2, 3), keepdim=True).flatten(1)


class MatMul(nn.Module):
    """``left @ right`` over the last two axes; a module, so that it can be counted."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """``[..., R, S]`` and ``[..., S, T]`` to ``[..., R, T]``."""
        return torch.matmul(left, right)


def fit_input_channels(weight_OIHW: Tensor, in_channels: int) -> Tensor:
    """Fits a colour stem to the input: for grey the sum, as if grey came three times."""
    if in_channels == weight_OIHW.shape[1]:
        return weight_OIHW
    return weight_OIHW.sum(1, keepdim=True)
