"""What cameras and codecs do to a face, on batches of tensors, wherever the batch lives.

Half of the images get none of a kind, the others uniformly up to its limit: a network has to stay
as good on clear faces.

Shape suffixes: N images, C channels, H height, W width (pixels); 8 is a side of a JPEG block.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

_BLOCK = 8
#: Gray levels of a step of each coefficient at JPEG's quality 50, ITU-T T.81, table K.1.
_STEPS_88 = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_GRAY_LEVELS = 128.0  # per unit of the input range


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """Limits of what is done; 0 is nothing.

    Attributes:
        dark_stops: Light taken away, in powers of two.
        blur: Sigma of a Gaussian, as a fraction of the width.
        noise: Sigma of normal noise, as a fraction of the full range.
        jpeg: Steps of the coefficients, over those of JPEG's quality 50: 3.3 is quality 15.
    """

    dark_stops: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0


def degrade(x_NCHW: Tensor, limits: Degradation, generator: Generator) -> Tensor:
    """Spoils every image of a batch on its own: light, then lens, sensor and codec.

    Args:
        x_NCHW: float32 ``[N, C, H, W]`` in the networks' input range -1..1.
        limits: How far each change may go.
        generator: Source of randomness, on the CPU; the same seed gives the same batch on the same
            kind of device.

    Returns:
        float32 ``[N, C, H, W]`` within -1..1.
    """
    if limits.dark_stops > 0:
        x_NCHW = darkened(x_NCHW, _strengths(x_NCHW, limits.dark_stops, generator))
    if limits.blur > 0:
        x_NCHW = blurred(x_NCHW, _strengths(x_NCHW, limits.blur, generator))
    if limits.noise > 0:
        noise_NCHW = _normal_noise(x_NCHW, generator)
        sigma_N = 2 * _strengths(x_NCHW, limits.noise, generator)
        x_NCHW = x_NCHW + sigma_N.view(-1, 1, 1, 1) * noise_NCHW
    if limits.jpeg > 0:
        x_NCHW = coded(x_NCHW, _strengths(x_NCHW, limits.jpeg, generator))
    return x_NCHW.clamp(-1, 1)


def darkened(x_NCHW: Tensor, stops_N: Tensor) -> Tensor:
    """Takes light away: each stop halves the distance from black."""
    return (x_NCHW + 1) * torch.exp2(-stops_N).view(-1, 1, 1, 1) - 1


def blurred(x_NCHW: Tensor, sigmas_N: Tensor) -> Tensor:
    """Blurs each image by a Gaussian whose sigma is a fraction of its width; 0 changes nothing."""
    height, width = x_NCHW.shape[2:]
    sigmas_px = (sigmas_N * width).clamp(min=0.05).view(-1, 1, 1, 1)
    return _spread(height, sigmas_px) @ x_NCHW @ _spread(width, sigmas_px).mT


def coded(x_NCHW: Tensor, coarseness_N: Tensor) -> Tensor:
    """Rounds each 8x8 block's cosine coefficients as JPEG does; 0 changes nothing."""
    n, channels, height, width = x_NCHW.shape
    more = (0, -width % _BLOCK, 0, -height % _BLOCK)
    padded_NCHW = functional.pad(x_NCHW, more, mode="replicate") * _GRAY_LEVELS
    across = padded_NCHW.shape[3] // _BLOCK
    blocks = padded_NCHW.reshape(n, channels, -1, _BLOCK, across, _BLOCK).transpose(3, 4)
    cosines_88 = _cosines(x_NCHW)
    steps = torch.tensor(_STEPS_88, dtype=x_NCHW.dtype, device=x_NCHW.device)
    steps = steps * coarseness_N.clamp(min=1e-6).view(n, 1, 1, 1, 1, 1)
    rounded = (cosines_88 @ blocks @ cosines_88.mT / steps).round() * steps
    back = (cosines_88.mT @ rounded @ cosines_88).transpose(3, 4) / _GRAY_LEVELS
    coded_NCHW: Tensor = back.reshape(padded_NCHW.shape)[:, :, :height, :width]
    return coded_NCHW


def _strengths(x_NCHW: Tensor, limit: float, generator: Generator) -> Tensor:
    drawn_N = torch.rand(len(x_NCHW), generator=generator) * 2 - 1
    return (limit * drawn_N.clamp(min=0)).to(x_NCHW.device)


def _normal_noise(x_NCHW: Tensor, generator: Generator) -> Tensor:
    """Drawn on the batch's device: a GPU need not wait for it."""
    seed = int(torch.randint(2**31, (1,), generator=generator))
    there = Generator(x_NCHW.device).manual_seed(seed)
    return torch.randn(x_NCHW.shape, generator=there, device=x_NCHW.device)


def _spread(count: int, sigmas_px: Tensor) -> Tensor:
    """What each pixel of a line takes from each, ``[N, 1, count, count]``; rows sum to 1."""
    places = torch.arange(count, device=sigmas_px.device, dtype=sigmas_px.dtype)
    away = places.view(-1, 1) - places
    return (-((away / sigmas_px) ** 2) / 2).softmax(-1)


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal discrete cosine transform of eight values, ``[8, 8]``."""
    k = torch.arange(_BLOCK, device=like.device, dtype=like.dtype)
    basis_88 = torch.cos(math.pi / _BLOCK * (k + 0.5) * k.view(-1, 1)) * math.sqrt(2 / _BLOCK)
    basis_88[0] /= math.sqrt(2)
    return basis_88
