"""From a dataset on disk to faces in memory, for training, calibration and evaluation."""

import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from edge_fer.data.dataset import Dataset, Item, read_pixels
from edge_fer.data.faces import Faces
from edge_fer.data.protocols import Fold, holdout, official
from edge_fer.errors import DataError
from edge_fer.preprocess import Preprocessing

#: Side of the faces of a dataset whose pictures differ in size.
SIDE_PX = 128
VALIDATION_FRACTION = 0.1
_ROLES: Mapping[str, str] = {
    "training": "train",
    "train": "train",
    "publictest": "validation",
    "validation": "validation",
    "val": "validation",
    "privatetest": "test",
    "test": "test",
}


def faces_of(dataset: Dataset, split: str) -> Faces:
    """Reads the gray faces of one part of a dataset.

    Args:
        dataset: Of images.
        split: ``train``, ``validation`` or ``test``, or FER2013's names for them. What the dataset
            does not define is cut off by lot, always the same: a tenth of training for validation,
            and 80, 10 and 10 % where there are no splits; by subject where subjects are known.

    Returns:
        Faces of the pictures' own size if that is one and square, else of 128x128 pixels: the
        middle square, with the border repeated where a picture is too narrow.

    Raises:
        DataError: Unknown split, or a picture that cannot be read.
    """
    if split.lower() not in _ROLES:
        raise DataError(f"{dataset.name}: no split {split!r}; it has train, validation and test")
    fold = fold_of(dataset)
    return faces_named(dataset, getattr(fold, _ROLES[split.lower()]), split)


def faces_named(dataset: Dataset, names: Collection[str], part: str) -> Faces:
    """Reads the gray faces of the given items, in the dataset's order; sizes as in ``faces_of``.

    Flow images, of which all have one size, come as they are.

    Args:
        dataset: Of images.
        names: Of items.
        part: What they are, for ``source``.

    Raises:
        DataError: There are none, or a picture cannot be read.
    """
    wanted = set(names)
    items = [item for item in dataset.items if item.name in wanted]
    if not items:
        raise DataError(f"{dataset.name}:{part}: no faces")
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        pictures = list(pool.map(read_pixels, items))
    return Faces(
        images_NHW=np.stack(pictures) if dataset.flow else _uniform(pictures),
        labels_N=np.array([item.label for item in items], np.int64),
        label_names=dataset.label_names,
        source=f"{dataset.name}:{part}",
        names=tuple(item.name for item in items),
        tags=tuple(item.tags for item in items) if any(item.tags for item in items) else (),
    )


def fold_of(dataset: Dataset) -> Fold:
    """Returns who is trained on, chosen by and tested, as ``faces_of`` has it."""
    (fold,) = official(dataset) if dataset.splits else holdout(dataset, seed=0)
    return with_validation(dataset, fold)


def with_validation(dataset: Dataset, fold: Fold) -> Fold:
    """Cuts a validation set off the training set of a fold that has none; always the same."""
    if fold.validation:
        return fold
    known = set(fold.train)

    def in_training(item: Item) -> bool:
        return item.name in known

    fractions = (1 - VALIDATION_FRACTION, VALIDATION_FRACTION)
    (inner,) = holdout(dataset.where(in_training), 0, fractions)
    return Fold(fold.name, inner.train, fold.test, inner.test)


def _uniform(pictures: list[np.ndarray]) -> np.ndarray:
    sizes = {picture.shape[:2] for picture in pictures}
    height, width = sizes.pop() if len(sizes) == 1 else (0, SIDE_PX)
    side = height if height == width else SIDE_PX
    fit = Preprocessing(height_px=side, width_px=side, crop_scale=1.0)
    return np.stack([fit.face_pixels(p, (0, 0, p.shape[1], p.shape[0])) for p in pictures])
