"""What the cells of a detector should say of a scene.

Cells whose middle is near a face's middle learn the face; around them is a ring that learns
nothing, and so is what is to be ignored; all others learn that no face has its middle there.

Shape suffixes: B scenes, H, W cells, C the 15 channels of a cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from edge_fer.data.scenes import Photo
from edge_fer.data.scenes_warp import face_sizes_px
from edge_fer.preprocess import normalise
from edge_fer.runtime.faces.decode import CHANNELS, STRIDE_PX, encode_cells

BACKGROUND, FACE, IGNORED = 0, 1, 2
#: Reach of a face's cells and of the ring around them, in sizes of the face.
NEAR, RING = 0.2, 0.33
#: Bounds of the first, pixels: a small face has a cell, a large one not more than 4 x 4 of them.
LEAST_NEAR_PX, MOST_NEAR_PX = 4.6, 16.0


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """A batch of scenes, and what is to be learnt.

    Attributes:
        x_NCHW: float32 pictures.
        kinds_BHW: int8, ``BACKGROUND``, ``FACE`` or ``IGNORED``.
        wanted_BHWC: float32, of cells that are ``FACE``; NaN where a point is unknown.
        weights_BHW: float32; the cells of a face share the square root of their number.
    """

    x_NCHW: Tensor
    kinds_BHW: Tensor
    wanted_BHWC: Tensor
    weights_BHW: Tensor

    def to(self, device: torch.device) -> "Lessons":
        """Returns the same on another device."""
        return Lessons(**{name: tensor.to(device) for name, tensor in vars(self).items()})


def lessons_of(scenes: Sequence[Photo]) -> Lessons:
    """Puts scenes of one size together."""
    cells = [_cells(scene) for scene in scenes]
    kinds_BHW, wanted_BHWC, weights_BHW = (np.stack(part) for part in zip(*cells, strict=True))
    x_NHW = normalise(np.stack([scene.image_HW for scene in scenes]))
    return Lessons(
        x_NCHW=torch.from_numpy(x_NHW).unsqueeze(1),
        kinds_BHW=torch.from_numpy(kinds_BHW),
        wanted_BHWC=torch.from_numpy(wanted_BHWC),
        weights_BHW=torch.from_numpy(weights_BHW),
    )


def _cells(scene: Photo) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = (side // STRIDE_PX for side in scene.image_HW.shape)
    kinds_HW = np.full((height, width), BACKGROUND, np.int8)
    wanted_HWC = np.zeros((height, width, CHANNELS), np.float32)
    weights_HW = np.ones((height, width), np.float32)
    for box_4 in scene.ignored_N4:
        kinds_HW[_span(box_4[1], box_4[3], height), _span(box_4[0], box_4[2], width)] = IGNORED
    sizes_N = face_sizes_px(scene.boxes_N4)
    order = np.argsort(-sizes_N)
    distances_NHW = _distances(scene.boxes_N4, height, width)
    for face in order:
        kinds_HW[distances_NHW[face] < RING * sizes_N[face]] = IGNORED
    for face in order:
        reach_px = min(max(NEAR * sizes_N[face], LEAST_NEAR_PX), MOST_NEAR_PX)
        nearest = distances_NHW[face].min()
        rows, columns = np.nonzero(distances_NHW[face] <= max(reach_px, nearest))
        some = np.full(len(rows), face)
        kinds_HW[rows, columns] = FACE
        wanted_HWC[rows, columns] = encode_cells(
            scene.boxes_N4[some], scene.points_N52[some], rows, columns
        )
        weights_HW[rows, columns] = 1 / np.sqrt(len(rows))
    return kinds_HW, wanted_HWC, weights_HW


def _span(first_px: float, length_px: float, limit: int) -> slice:
    start = int(np.clip(first_px // STRIDE_PX, 0, limit))
    return slice(start, int(np.clip(-(-(first_px + length_px) // STRIDE_PX), start, limit)))


def _distances(boxes_N4: np.ndarray, height: int, width: int) -> np.ndarray:
    """Of the middle of every cell from the middle of every face, pixels ``[N, H, W]``."""
    centres_N2 = boxes_N4[:, :2] + boxes_N4[:, 2:] / 2
    x_NW = (np.arange(width) + 0.5) * STRIDE_PX - centres_N2[:, :1]
    y_NH = (np.arange(height) + 0.5) * STRIDE_PX - centres_N2[:, 1:]
    return np.hypot(y_NH[:, :, np.newaxis], x_NW[:, np.newaxis, :])
