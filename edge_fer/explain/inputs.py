"""The faces that are explained: from picture files or a dataset to what the network is given.

Shape suffixes: N faces, C channels, H height, W width (pixels), K classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge_fer.data.faces import Faces
from edge_fer.data.load import faces_named
from edge_fer.data.spec import read_dataset, read_faces
from edge_fer.data.vocabulary import places_of
from edge_fer.errors import DataError, SourceError
from edge_fer.preprocess import Box, Preprocessing, fit_all, normalise
from edge_fer.runtime.faces.detectors import Detector
from edge_fer.runtime.sources.images import read_image

BATCH_SIZE = 32
#: Instead of a split: the whole dataset.
ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Faces as a network sees them.

    Attributes:
        pixels: uint8 ``[N, H, W]`` gray or ``[N, H, W, 3]`` RGB.
        labels_N: Classes of the model, int64; -1 where unknown.
        source: Where they are from.
    """

    pixels: np.ndarray
    labels_N: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.pixels)

    def one(self, index: int) -> "Inputs":
        """Returns a single face."""
        rows = slice(index, index + 1)
        return replace(
            self,
            pixels=self.pixels[rows],
            labels_N=self.labels_N[rows],
        )

    def tensor(self) -> Tensor:
        """Returns float32 ``[N, C, H, W]``, in -1 .. 127/128."""
        return _tensor(self.pixels)

    def batches(self) -> Iterator[Tensor]:
        """The same, some at a time."""
        for first in range(0, len(self), BATCH_SIZE):
            yield _tensor(self.pixels[first : first + BATCH_SIZE])


def _tensor(pixels: np.ndarray) -> Tensor:
    x = torch.from_numpy(normalise(pixels))
    return x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2).contiguous()


def read_photo_faces(
    files: Sequence[Path], preprocessing: Preprocessing, detector: Detector | None, label: int
) -> Inputs:
    """Reads one face per picture file.

    Args:
        files: Pictures.
        preprocessing: Of the network.
        detector: Finds the face, the largest one; None takes each picture for a face crop.
        label: True class of all of them, -1 if unknown.

    Raises:
        SourceError: A file that is not a picture, or no face in one.
    """
    pixels = np.stack([_face_of(file, preprocessing, detector) for file in files])
    return Inputs(
        pixels=pixels,
        labels_N=np.full(len(files), label, np.int64),
        source="pictures",
    )


def _face_of(file: Path, preprocessing: Preprocessing, detector: Detector | None) -> np.ndarray:
    image = read_image(file)
    if detector is None:
        whole: Box = (0.0, 0.0, float(image.shape[1]), float(image.shape[0]))
        return replace(preprocessing, crop_scale=1.0).face_pixels(image, whole)
    found = detector.detect(image)
    if not found:
        raise SourceError(f"{file}: no face found; leave --detect out if it is a face crop")
    return preprocessing.face_pixels(image, found[0].box, found[0].eyes)


def read_labelled_faces(spec: str, split: str, labels: tuple[str, ...]) -> Faces:
    """Reads the faces of a dataset whose class a model knows, in the model's vocabulary.

    Raises:
        DataError: The dataset cannot be read, or the model knows none of its classes.
    """
    faces = _read_all(spec) if split.lower() == ALL else read_faces(spec, split)
    places = np.array([*places_of(faces.label_names, labels), -1])
    known = faces.take(places[faces.labels_N] >= 0)
    if not len(known):
        raise DataError(f"{faces.source}: no face is of a class of the model ({', '.join(labels)})")
    return replace(known, labels_N=places[known.labels_N], label_names=labels)


def _read_all(spec: str) -> Faces:
    dataset = read_dataset(spec)
    return faces_named(dataset, [item.name for item in dataset.items], ALL)


def inputs_of(faces: Faces, preprocessing: Preprocessing) -> Inputs:
    """Gives faces of a dataset the network's size and colours."""
    return Inputs(
        pixels=fit_all(faces.images_NHW, preprocessing),
        labels_N=faces.labels_N,
        source=faces.source,
    )


def draw(count: int, at_most: int, seed: int) -> np.ndarray:
    """Draws indices below ``count`` by lot, in order, without repeats."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(count, min(count, at_most), replace=False))


def draw_per_class(
    labels_N: np.ndarray, num_classes: int, at_most: int, seed: int
) -> list[np.ndarray]:
    """Draws up to ``at_most`` rows of every class by lot; the first ones stay if it grows."""
    rng = np.random.default_rng(seed)
    rows = (np.flatnonzero(labels_N == label) for label in range(num_classes))
    return [rng.permutation(of_class)[:at_most] for of_class in rows]
