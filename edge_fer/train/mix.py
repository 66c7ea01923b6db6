"""Mixup and CutMix: two images of a batch in one, and their targets in the same shares."""

import numpy as np
import torch
from torch import Generator, Tensor

from edge_fer.train.config import Stage


def mix(
    x_NCHW: Tensor, targets_NK: Tensor, stage: Stage, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Mixes every image of a batch with another one, or none of them.

    Args:
        x_NCHW: float32 images.
        targets_NK: float32 target distributions.
        stage: Its ``mix``, ``mixup`` and ``cutmix``.
        generator: Source of randomness, on the CPU.

    Returns:
        Images and targets of the same shapes.
    """
    rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
    ways = [name for name in ("mixup", "cutmix") if getattr(stage, name) > 0]
    if not ways or rng.random() >= stage.mix:
        return x_NCHW, targets_NK
    way = ways[int(rng.integers(len(ways)))]
    share = float(rng.beta(getattr(stage, way), getattr(stage, way)))
    partner = torch.randperm(len(x_NCHW), generator=generator).to(x_NCHW.device)
    if way == "mixup":
        x_NCHW = torch.lerp(x_NCHW[partner], x_NCHW, share)
    else:
        x_NCHW, share = _paste(x_NCHW, partner, share, rng)
    return x_NCHW, torch.lerp(targets_NK[partner], targets_NK, share)


def _paste(
    x_NCHW: Tensor, partner: Tensor, share: float, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """Pastes a box of the partner; returns the share that is left of the image itself."""
    height, width = x_NCHW.shape[2:]
    half_h, half_w = (round(side * (1 - share) ** 0.5 / 2) for side in (height, width))
    y, x = int(rng.integers(height)), int(rng.integers(width))
    rows = slice(max(0, y - half_h), min(height, y + half_h))
    columns = slice(max(0, x - half_w), min(width, x + half_w))
    mixed_NCHW = x_NCHW.clone()
    mixed_NCHW[:, :, rows, columns] = x_NCHW[partner][:, :, rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed_NCHW, 1 - pasted / (height * width)
