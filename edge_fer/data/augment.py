"""Batched augmentation on tensors, on whatever device the batch lives on."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Ranges of the random changes, each drawn uniformly per image.

    Attributes:
        flip: Probability of a horizontal flip.
        rotation_deg: Rotation within plus or minus this many degrees.
        shift: Translation within plus or minus this fraction of the side.
        zoom: Scale within ``1 - zoom`` .. ``1 + zoom``.
        contrast: Contrast factor within ``1 - contrast`` .. ``1 + contrast`` about the image's
            mean.
        brightness: Offset within plus or minus this fraction of the full range.
    """

    flip: float = 0.5
    rotation_deg: float = 10.0
    shift: float = 0.08
    zoom: float = 0.1
    contrast: float = 0.2
    brightness: float = 0.1


def augment(x_NCHW: Tensor, ranges: Augmentation, generator: Generator) -> Tensor:
    """Changes every image of a batch on its own.

    Args:
        x_NCHW: float32 ``[N, C, H, W]`` in the networks' input range -1..1.
        ranges: How far each change may go.
        generator: Source of randomness, on the CPU; the same seed gives the same batch.

    Returns:
        float32 ``[N, C, H, W]`` within -1..1; pixels from outside repeat the border.
    """
    n = len(x_NCHW)

    def uniform(half_range: float) -> Tensor:
        return ((torch.rand(n, generator=generator) * 2 - 1) * half_range).to(x_NCHW.device)

    mirror = 1 - 2 * (uniform(1.0) < 2 * ranges.flip - 1).to(x_NCHW.dtype)
    angle = uniform(math.radians(ranges.rotation_deg))
    zoom = 1 + uniform(ranges.zoom)
    shift_x, shift_y = uniform(2 * ranges.shift), uniform(2 * ranges.shift)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    theta_N23 = torch.stack(
        [
            torch.stack([cos * mirror, -sin, shift_x], dim=1),
            torch.stack([sin * mirror, cos, shift_y], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(theta_N23, list(x_NCHW.shape), align_corners=False)
    x_NCHW = functional.grid_sample(x_NCHW, grid, padding_mode="border", align_corners=False)

    contrast = (1 + uniform(ranges.contrast)).view(n, 1, 1, 1)
    brightness = uniform(2 * ranges.brightness).view(n, 1, 1, 1)
    mean = x_NCHW.mean((1, 2, 3), keepdim=True)
    return ((x_NCHW - mean) * contrast + mean + brightness).clamp(-1, 1)
