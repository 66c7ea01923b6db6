"""dlib's face recognition network under a head for expressions, for faces of 112x112.

Its 29 convolutions (``dnn_face_recognition_ex`` of dlib; the residual network of He et al. 2016
with fewer layers and half the filters) were trained on three million faces, and its weights are in
the public domain (CC0). They come in the package ``face_recognition_models`` and are the only ones
here that have seen more faces than a dataset of expressions holds. The 128 outputs are left out.

The blocks stand in five levels of 32, 64, 128, 256 and 256 channels. What tells people apart is
not what tells expressions apart: the last levels may be left out.

Where a block halves the picture, its input is averaged over 2x2 pixels for the shortcut, and gets
channels of zeros if there are to be more. Here a 1x1 convolution adds these: it begins as dlib's
zeros and may learn. Convolutions of stride 2 have no padding; of two that are added, the smaller
gets a row and a column of zeros.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes.
"""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.models.blocks import check_arguments, fit_input_channels, global_average

_FILE = "dlib_face_recognition_resnet_model_v1.dat"
_STEM_CHANNELS = 32
#: Channels and blocks of each level; the first block of all but the first level halves the picture.
_LEVELS = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
#: Means that dlib subtracts from red, green and blue before it divides by 256.
_DLIB_MEAN = (122.782, 117.001, 104.298)
#: How a convolution or an affine layer begins in dlib's format: its kind, a tensor's version 2.
_LAYER = re.compile(rb"\x01[\x05\x07](con_4|affine_)\x01\x02")


class ConvBn(nn.Sequential):
    """A convolution and the batch norm after it."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
        super().__init__(conv, nn.BatchNorm2d(out_channels))


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, which where channels are added begins as zeros."""

    def __init__(self, in_channels: int, out_channels: int, *, halves: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            ConvBn(in_channels, out_channels, 3, 2 if halves else 1),
            nn.ReLU(),
            ConvBn(out_channels, out_channels, 3),
        )
        shortcut: list[nn.Module] = [nn.AvgPool2d(2)] if halves else []
        if out_channels != in_channels:
            more_channels = nn.Conv2d(in_channels, out_channels, 1, bias=False)
            nn.init.dirac_(more_channels.weight)
            shortcut.append(more_channels)
        self.shortcut = nn.Sequential(*shortcut)
        self.halves = halves
        self.relu = nn.ReLU()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, C', H, W]``, or to half the height and width."""
        main_NCHW, short_NCHW = self.main(x_NCHW), self.shortcut(x_NCHW)
        if self.halves:
            height, width = short_NCHW.shape[2:]
            surplus = (0, width - main_NCHW.shape[3], 0, height - main_NCHW.shape[2])
            main_NCHW = functional.pad(main_NCHW, surplus)
        out_NCHW: Tensor = self.relu(main_NCHW + short_NCHW)
        return out_NCHW


class FaceResNet(nn.Module):
    """The network up to one of its levels, and a linear head on the average of what it gives.

    Input ``x_NCHW`` float32 ``[N, in_channels, H, W]``, 112x112 by default (from 100 pixels with
    all five levels); output ``logits_NK`` float32 ``[N, K]``.

    Args:
        num_classes: K.
        in_channels: 1 or 3.
        levels: How many of the five.
        dropout: Before the head.

    Raises:
        ModelError: Arguments that no network can be built from.
    """

    def __init__(
        self, num_classes: int = 7, in_channels: int = 1, levels: int = 5, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        if not 1 <= levels <= len(_LEVELS):
            raise ModelError(f"face-resnet has 1 to {len(_LEVELS)} levels, not {levels}")
        self.stem = nn.Sequential(
            ConvBn(in_channels, _STEM_CHANNELS, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2)
        )
        blocks: list[nn.Module] = []
        channels = _STEM_CHANNELS
        for level, (width, count) in enumerate(_LEVELS[:levels]):
            for index in range(count):
                blocks.append(Block(channels, width, halves=level > 0 and index == 0))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        features_NC = global_average(self.blocks(self.stem(x_NCHW)))
        logits_NK: Tensor = self.classifier(self.dropout(features_NC))
        return logits_NK


def load_dlib(network: FaceResNet) -> int:
    """Fills all but the head with dlib's weights, from the package ``face_recognition_models``.

    dlib's affine layers become batch norms that compute the same, but whose statistics are not
    those of any faces: ``take_statistics`` is to follow before the network is trained on.

    Returns:
        How many of dlib's values were used.

    Raises:
        MissingExtraError: The package is not installed.
        ModelError: Its file is not the one that is known.
    """
    layers = _layers(_weights_file())
    try:
        with torch.no_grad():
            return sum(
                _fill(conv, norm, next(layers), next(layers)) for conv, norm in _conv_bns(network)
            )
    except (StopIteration, RuntimeError, ValueError, IndexError) as error:
        raise ModelError(f"{_FILE}: not dlib's face recognition network") from error


def take_statistics(network: FaceResNet, x_NCHW: Tensor) -> None:
    """Gives every batch norm the mean and variance that it meets on these faces.

    Gains and biases make up for it, so the network computes what it did; but in training, where a
    batch norm uses its batch's statistics, it then starts from there and not from noise.

    Args:
        network: As ``load_dlib`` left it; changed in place, in evaluation mode afterwards.
        x_NCHW: Some hundred faces, float32, as the network takes them.
    """

    def take(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance_C, mean_C = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        gain_C = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.add_(gain_C * (mean_C - norm.running_mean))
        norm.weight.copy_(gain_C * (variance_C + norm.eps).sqrt())
        norm.running_mean.copy_(mean_C)
        norm.running_var.copy_(variance_C)

    hooks = [norm.register_forward_pre_hook(take) for _, norm in _conv_bns(network)]
    with torch.no_grad():
        network.eval()(x_NCHW)
    for hook in hooks:
        hook.remove()


def _conv_bns(network: FaceResNet) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    for pair in network.modules():
        if isinstance(pair, ConvBn):
            conv, norm = pair
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            yield conv, norm


def _fill(conv: nn.Conv2d, norm: nn.BatchNorm2d, kernels: np.ndarray, affine: np.ndarray) -> int:
    """Kernels come before biases in dlib's tensors, and gains before biases."""
    outputs = conv.out_channels
    bias_O = torch.from_numpy(kernels[-outputs:])
    weight_OIHW = torch.from_numpy(kernels[:-outputs]).reshape(outputs, -1, *conv.kernel_size)
    if conv.stride == (2, 2) and conv.kernel_size == (7, 7):
        offset_I = (128 - torch.tensor(_DLIB_MEAN)) / 256
        bias_O = bias_O + (weight_OIHW * offset_I[:, None, None]).sum((1, 2, 3))
        weight_OIHW = fit_input_channels(weight_OIHW / 2, conv.in_channels)
    gain_O, shift_O = torch.from_numpy(affine).view(2, outputs)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    conv.weight.copy_(weight_OIHW)
    norm.weight.copy_(gain_O)
    norm.bias.copy_(shift_O)
    norm.running_mean.copy_(-bias_O)
    norm.running_var.fill_(1.0 - norm.eps)
    return kernels.size + affine.size


def _weights_file() -> Path:
    """Finds the file without an import: that of its package needs pkg_resources."""
    spec = importlib.util.find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise MissingExtraError("starting from dlib's face recognition network", "landmarks")
    return Path(spec.origin).parent / "models" / _FILE


def _layers(path: Path) -> Iterator[np.ndarray]:
    """The float32 values of each convolution and affine layer, in the order of execution."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    for found in _LAYER.finditer(content):
        place, size = found.end(), 1
        for _ in range(4):
            place, length = _integer(content, place)
            size *= length
        yield np.frombuffer(content, "<f4", size, place).copy()


def _integer(content: bytes, place: int) -> tuple[int, int]:
    """One of dlib's integers, a count of bytes and then these, and the place after it."""
    end = place + 1 + content[place]
    return end, int.from_bytes(content[place + 1 : end], "little")
