"""Calibration without faces: images made from what batch norms remember of the training data.

ZeroQ (Cai et al., CVPR 2020): noise is changed by gradient descent until, at every batch norm, its
mean and spread are those that the network saw in training. Ranges measured on such images come
close to ranges measured on faces. No data is needed.

Shape suffixes: N images, C channels, H and W the input's sides.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.preprocess import PIXEL_OFFSET, PIXEL_SCALE, Preprocessing

IMAGES = 64
STEPS = 60
_BATCH = 32
_LEARNING_RATE = 0.3
_LOW, _HIGH = -1.0, 127 / 128


def distil_images(
    network: nn.Module,
    preprocessing: Preprocessing,
    *,
    seed: int,
    images: int = IMAGES,
    steps: int = STEPS,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Makes calibration images for a network from itself.

    Args:
        network: In evaluation mode, with at least one batch norm behind a convolution.
        preprocessing: Of the network: size and colour of the images.
        seed: Of the noise to begin with; the same seed gives the same images.
        images: How many.
        steps: Of gradient descent, for each batch.
        on_step: Called after each step with the number done and the number in all.

    Returns:
        uint8 ``[N, H, W]`` or ``[N, H, W, 3]``.

    Raises:
        ModelError: The network has no batch norm.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        raise ModelError("there is no batch norm to distil images from; calibrate on faces")
    generator = torch.Generator().manual_seed(seed)
    sizes = [min(_BATCH, images - first) for first in range(0, images, _BATCH)]
    total, batches = steps * len(sizes), []
    for index, size in enumerate(sizes):
        x_NCHW = _noise(size, preprocessing, generator)
        _descend(network, norms, preprocessing, x_NCHW, steps, index * steps, total, on_step)
        batches.append(_as_pixels(x_NCHW.detach(), preprocessing))
    return np.concatenate(batches)


def statistics_loss(network: nn.Module, norms: list[nn.BatchNorm2d], x_NCHW: Tensor) -> Tensor:
    """How far a batch is from the batch norms' statistics, in their own standard deviations.

    Returns:
        Mean over the norms of the mean squared difference of means and of standard deviations.
    """
    with _inputs_of(norms) as seen:
        network(x_NCHW)
    losses = [_distance(norm, seen[norm]) for norm in norms if norm in seen]
    return torch.stack(losses).mean()


def _distance(norm: nn.BatchNorm2d, x_NCHW: Tensor) -> Tensor:
    assert norm.running_mean is not None and norm.running_var is not None
    deviation_C = (norm.running_var + norm.eps).sqrt()
    mean_C = x_NCHW.mean((0, 2, 3))
    spread_C = (x_NCHW.var((0, 2, 3), unbiased=False) + norm.eps).sqrt()
    means = (mean_C - norm.running_mean) / deviation_C
    return means.square().mean() + (spread_C / deviation_C - 1).square().mean()


@contextmanager
def _inputs_of(norms: list[nn.BatchNorm2d]) -> Iterator[dict[nn.Module, Tensor]]:
    seen: dict[nn.Module, Tensor] = {}

    def keep(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[norm] = inputs[0]

    handles = [norm.register_forward_pre_hook(keep) for norm in norms]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _noise(size: int, preprocessing: Preprocessing, generator: torch.Generator) -> Tensor:
    channels = 3 if preprocessing.color == "rgb" else 1
    shape = (size, channels, preprocessing.height_px, preprocessing.width_px)
    return torch.randn(shape, generator=generator).mul_(0.5).clamp_(_LOW, _HIGH)


def _descend(
    network: nn.Module,
    norms: list[nn.BatchNorm2d],
    preprocessing: Preprocessing,
    x_NCHW: Tensor,
    steps: int,
    done: int,
    total: int,
    on_step: Callable[[int, int], None],
) -> None:
    """Changes ``x_NCHW`` in place; gray that is wanted three times stays gray."""
    repeats = 3 if preprocessing.color == "gray3" else 1
    x_NCHW.requires_grad_()
    optimizer = torch.optim.Adam([x_NCHW], lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        loss = statistics_loss(network, norms, x_NCHW.repeat(1, repeats, 1, 1))
        (x_NCHW.grad,) = torch.autograd.grad(loss, x_NCHW)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            x_NCHW.clamp_(_LOW, _HIGH)
        on_step(done + step + 1, total)


def _as_pixels(x_NCHW: Tensor, preprocessing: Preprocessing) -> np.ndarray:
    pixels = (x_NCHW / PIXEL_SCALE + PIXEL_OFFSET).round().clamp(0, 255).to(torch.uint8)
    if preprocessing.color == "gray":
        return np.asarray(pixels[:, 0].numpy())
    return np.ascontiguousarray(pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy())
