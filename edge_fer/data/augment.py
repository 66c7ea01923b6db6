"""Batched augmentation on tensors, on whatever device the batch lives on.

Shape suffixes: N images, C channels, H height, W width (pixels), P 68 landmarks, 2 is (x, y); 22
and 23 are the linear part and the whole of an affine map.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from edge_fer.data.degrade import Degradation

#: Which of the 68 landmarks (iBUG order) each becomes in a mirror.
MIRRORED_LANDMARKS = (
    *range(16, -1, -1),  # jaw
    *range(26, 16, -1),  # brows
    *range(27, 31), *range(35, 30, -1),  # nose: bridge, nostrils
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,  # eyes
    *range(54, 47, -1), *range(59, 54, -1),  # lips outside: upper, lower
    *range(64, 59, -1), *range(67, 64, -1),  # lips inside
)  # fmt: skip
_ERASED_SIDES = (0.5, 2.0)
_Draw = Callable[[float], Tensor]


@dataclass(frozen=True, kw_only=True)
class Augmentation(Degradation):
    """Ranges of the random changes, each drawn uniformly per image.

    ``augment`` leaves the degradations to ``degrade``: teachers see a face without them.

    Attributes:
        flip: Probability of a horizontal flip.
        rotation_deg: Rotation within plus or minus this many degrees.
        shift: Translation within plus or minus this fraction of the side.
        zoom: Scale within ``1 - zoom`` .. ``1 + zoom``.
        contrast: Contrast factor within ``1 - contrast`` .. ``1 + contrast`` about the image's
            mean.
        brightness: Offset within plus or minus this fraction of the full range.
        shear: Rows slide within plus or minus this fraction of their distance from the middle.
        erase: Probability that a rectangle is filled with the image's mean.
        erase_area: Largest such rectangle, as a fraction of the image; the smallest is a tenth of
            that. Its sides differ by at most a factor of two, as fractions.
    """

    flip: float = 0.5
    rotation_deg: float = 10.0
    shift: float = 0.08
    zoom: float = 0.1
    contrast: float = 0.2
    brightness: float = 0.1
    shear: float = 0.0
    erase: float = 0.0
    erase_area: float = 0.2


@dataclass(frozen=True, kw_only=True)
class _Changes:
    """What was drawn for a batch: one value per image, on the batch's device."""

    mirror_N: Tensor
    theta_N23: Tensor
    contrast_N: Tensor
    brightness_N: Tensor
    holes_N4: Tensor | None


def augment(x_NCHW: Tensor, ranges: Augmentation, generator: Generator) -> Tensor:
    """Changes every image of a batch on its own.

    Args:
        x_NCHW: float32 ``[N, C, H, W]`` in the networks' input range -1..1.
        ranges: How far each change may go.
        generator: Source of randomness, on the CPU; the same seed gives the same batch.

    Returns:
        float32 ``[N, C, H, W]`` within -1..1; pixels from outside repeat the border.
    """
    return _change_pixels(x_NCHW, _draw_changes(x_NCHW, ranges, generator))


def augment_with_points(
    x_NCHW: Tensor, points_NP2: Tensor, ranges: Augmentation, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Changes every image of a batch, and moves its landmarks along.

    Args:
        x_NCHW: float32 ``[N, C, H, W]`` in the networks' input range -1..1.
        points_NP2: float32 ``[N, 68, 2]`` landmarks as fractions of width and height: the centre of
            pixel i of W is at (i + 0.5) / W.
        ranges: How far each change may go.
        generator: As in ``augment``, which gives the same pixels for the same seed.

    Returns:
        The pixels that ``augment`` gives, and float32 ``[N, 68, 2]``: where the landmarks are in
        them, possibly outside 0..1. In a mirrored face the left eye's points are those of the eye
        that is on the left now, and so on.
    """
    changes = _draw_changes(x_NCHW, ranges, generator)
    return _change_pixels(x_NCHW, changes), _move_points(points_NP2, changes)


def _draw_changes(x_NCHW: Tensor, ranges: Augmentation, generator: Generator) -> _Changes:
    """Draws in an order that old seeds rely on: a new range is drawn last, and only if used."""
    n = len(x_NCHW)

    def uniform(half_range: float) -> Tensor:
        return ((torch.rand(n, generator=generator) * 2 - 1) * half_range).to(x_NCHW.device)

    mirror = 1 - 2 * (uniform(1.0) < 2 * ranges.flip - 1).to(x_NCHW.dtype)
    angle = uniform(math.radians(ranges.rotation_deg))
    zoom = 1 + uniform(ranges.zoom)
    shift_x, shift_y = uniform(2 * ranges.shift), uniform(2 * ranges.shift)
    contrast, brightness = 1 + uniform(ranges.contrast), uniform(2 * ranges.brightness)
    cos, sin = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    x_y, y_y = -sin, cos
    if ranges.shear > 0:
        shear = uniform(ranges.shear)
        x_y, y_y = cos * mirror * shear - sin, sin * mirror * shear + cos
    theta_N23 = torch.stack(
        [
            torch.stack([cos * mirror, x_y, shift_x], dim=1),
            torch.stack([sin * mirror, y_y, shift_y], dim=1),
        ],
        dim=1,
    )
    return _Changes(
        mirror_N=mirror,
        theta_N23=theta_N23,
        contrast_N=contrast,
        brightness_N=brightness,
        holes_N4=_draw_holes(uniform, ranges) if ranges.erase > 0 else None,
    )


def _draw_holes(uniform: _Draw, ranges: Augmentation) -> Tensor:
    """Rectangles inside the image, ``[N, 4]``: left, top, right, bottom in -1..1; or of no size."""
    erased = uniform(1.0) < 2 * ranges.erase - 1
    area = ranges.erase_area * (0.55 + uniform(0.45))
    low, high = (math.log(side) / 2 for side in _ERASED_SIDES)
    stretch = torch.exp((low + high) / 2 + uniform((high - low) / 2))
    half_w = (area.sqrt() * stretch).clamp(max=1) * erased
    half_h = (area.sqrt() / stretch).clamp(max=1) * erased
    x, y = uniform(1.0) * (1 - half_w), uniform(1.0) * (1 - half_h)
    return torch.stack([x - half_w, y - half_h, x + half_w, y + half_h], dim=1)


def _change_pixels(x_NCHW: Tensor, changes: _Changes) -> Tensor:
    n = len(x_NCHW)
    grid = functional.affine_grid(changes.theta_N23, list(x_NCHW.shape), align_corners=False)
    x_NCHW = functional.grid_sample(x_NCHW, grid, padding_mode="border", align_corners=False)

    contrast = changes.contrast_N.view(n, 1, 1, 1)
    brightness = changes.brightness_N.view(n, 1, 1, 1)
    mean = x_NCHW.mean((1, 2, 3), keepdim=True)
    x_NCHW = ((x_NCHW - mean) * contrast + mean + brightness).clamp(-1, 1)
    return x_NCHW if changes.holes_N4 is None else _erase(x_NCHW, changes.holes_N4)


def _erase(x_NCHW: Tensor, holes_N4: Tensor) -> Tensor:
    left, top, right, bottom = holes_N4.view(-1, 4, 1, 1, 1).unbind(1)
    height, width = x_NCHW.shape[2:]
    y = _pixel_centres(height, x_NCHW).view(-1, 1)
    x = _pixel_centres(width, x_NCHW)
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    return torch.where(inside, x_NCHW.mean((1, 2, 3), keepdim=True), x_NCHW)


def _pixel_centres(count: int, like: Tensor) -> Tensor:
    return (torch.arange(count, device=like.device, dtype=like.dtype) * 2 + 1) / count - 1


def _move_points(points_NP2: Tensor, changes: _Changes) -> Tensor:
    """Inverts ``theta``, which says where each pixel of the result comes from, in -1..1."""
    linear_N22, shift_N2 = changes.theta_N23[..., :2], changes.theta_N23[..., 2]
    centred_NP2 = 2 * points_NP2 - 1 - shift_N2[:, None]
    moved_NP2 = (torch.linalg.solve(linear_N22, centred_NP2.mT).mT + 1) / 2
    mirrored_NP2 = moved_NP2[:, list(MIRRORED_LANDMARKS)]
    return torch.where(changes.mirror_N.view(-1, 1, 1) < 0, mirrored_NP2, moved_NP2)
