"""Faces as tensors, where training runs.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes, 68 landmarks.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edge_fer.data.faces import Faces
from edge_fer.preprocess import PIXEL_OFFSET, PIXEL_SCALE, Preprocessing, fit_all


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Faces of a split, or some of them.

    Attributes:
        pixels_NCHW: uint8, at the size in which they were read.
        labels_N: int64.
        votes_NK: float32 annotators' votes; None if none are used.
        points_NP2: float32 ``[N, 68, 2]`` landmarks as fractions; None if none are used.
        answers_NK: float32 teachers' probabilities; None if they are asked batch by batch.
    """

    pixels_NCHW: Tensor
    labels_N: Tensor
    votes_NK: Tensor | None = None
    points_NP2: Tensor | None = None
    answers_NK: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels_N)

    def take(self, rows: Tensor | slice) -> "Batch":
        """Returns some of the faces."""
        return Batch(
            pixels_NCHW=self.pixels_NCHW[rows],
            labels_N=self.labels_N[rows],
            votes_NK=None if self.votes_NK is None else self.votes_NK[rows],
            points_NP2=None if self.points_NP2 is None else self.points_NP2[rows],
            answers_NK=None if self.answers_NK is None else self.answers_NK[rows],
        )


def prepared(faces: Faces, preprocessing: Preprocessing) -> Faces:
    """Does once what a network expects of a face: equalisation, interpolation, a smaller size.

    Faces that only have to grow keep their size: batches are enlarged after augmentation.
    """
    plain = preprocessing.clahe_clip == 0 and preprocessing.interpolation == "auto"
    if plain and faces.images_NHW.shape[1] <= preprocessing.height_px:
        return faces
    color = "gray" if faces.images_NHW.ndim == 3 else preprocessing.color
    return replace(faces, images_NHW=fit_all(faces.images_NHW, replace(preprocessing, color=color)))


def on_device(
    faces: Faces,
    device: torch.device,
    votes_NK: np.ndarray | None = None,
    points_NP2: np.ndarray | None = None,
) -> Batch:
    """Puts a whole split where training runs."""
    pixels = torch.from_numpy(faces.images_NHW)
    pixels_NCHW = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return Batch(
        pixels_NCHW=pixels_NCHW.to(device),
        labels_N=torch.from_numpy(faces.labels_N).to(device),
        votes_NK=None if votes_NK is None else torch.from_numpy(votes_NK).to(device),
        points_NP2=None if points_NP2 is None else torch.from_numpy(points_NP2).to(device),
    )


def normalised(pixels: Tensor) -> Tensor:
    """Maps uint8 pixels to float32 in -1 .. 127/128, as ``preprocess.normalise`` does."""
    return (pixels.float() - PIXEL_OFFSET) * PIXEL_SCALE


def fit_input(x_NCHW: Tensor, input_chw: tuple[int, int, int]) -> Tensor:
    """Enlarges images to a network's size and repeats gray for its channels.

    The same as ``Preprocessing.fit`` up to its rounding to whole pixels.
    """
    channels, *size = input_chw
    if list(x_NCHW.shape[2:]) != size:
        x_NCHW = functional.interpolate(x_NCHW, size, mode="bilinear", antialias=True)
    return x_NCHW.expand(-1, channels, -1, -1)


def shaped(x_NCHW: Tensor, input_chw: tuple[int, int, int]) -> Tensor:
    """The same with channels last in memory, what fast convolutions want."""
    return fit_input(x_NCHW, input_chw).contiguous(memory_format=torch.channels_last)
