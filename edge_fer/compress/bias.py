"""Bias correction: takes out of every layer the mean error that rounding its weights causes.

Rounded weights shift the mean of what a layer gives. The shift is measured on calibration faces,
channel by channel, and subtracted from the bias (Nagel et al., ICCV 2019, section 4.2). Rounding is
per channel, so it does not matter that batch norms are folded into the weights only later.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_fer.preprocess import normalise

_LARGEST = 127
_BATCH = 50


def correct_biases(network: nn.Module, images: np.ndarray) -> nn.Module:
    """Returns a copy of a network that is nearer to the original once its weights are rounded.

    Convolutions and dense layers without a bias get one.

    Args:
        network: In evaluation mode.
        images: Calibration faces, uint8 ``[N, H, W]`` or ``[N, H, W, 3]``.
    """
    corrected = copy.deepcopy(network)
    shifts: dict[nn.Module, Tensor] = {}
    for first in range(0, len(images), _BATCH):
        batch = images[first : first + _BATCH]
        for layer, shift in mean_shifts(corrected, batch).items():
            share = shift * (len(batch) / len(images))
            shifts[layer] = shifts[layer] + share if layer in shifts else share
    for layer, shift in shifts.items():
        bias: Any = layer.bias
        layer.bias = nn.Parameter(-shift if bias is None else bias.detach() - shift)
    return corrected


def mean_shifts(network: nn.Module, images: np.ndarray) -> dict[nn.Module, Tensor]:
    """Returns, for each layer, by how much rounding its weights shifts its mean output.

    Args:
        network: In evaluation mode; every layer's input is the unrounded network's.
        images: As in ``correct_biases``.

    Returns:
        float ``[C]`` by layer, C its output channels.
    """
    x = torch.from_numpy(normalise(images))
    x_NCHW = x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2)
    shifts: dict[nn.Module, Tensor] = {}

    def measure(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        with _rounded(layer):
            error = type(layer).forward(layer, *inputs) - output
        shifts[layer] = error.mean((0, 2, 3)) if error.ndim == 4 else error.flatten(0, -2).mean(0)

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(measure) for layer in layers]
    try:
        with torch.no_grad():
            network(x_NCHW)
    finally:
        for handle in handles:
            handle.remove()
    return shifts


def rounded_weights(weight: Tensor) -> Tensor:
    """Returns weights as they are after symmetric 8-bit rounding per output channel (axis 0)."""
    scale = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True) / _LARGEST
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return (weight / scale).round() * scale


@contextmanager
def _rounded(layer: Any) -> Iterator[None]:
    weight = layer.weight.data
    layer.weight.data = rounded_weights(weight)
    try:
        yield
    finally:
        layer.weight.data = weight
