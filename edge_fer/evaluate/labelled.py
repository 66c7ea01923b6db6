"""The faces to be measured on: a split of a dataset, all of it, or the test side of a fold."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_fer.data.faces import Faces, repeats_in, require_labels
from edge_fer.data.load import faces_named
from edge_fer.data.protocols import find_fold, read_protocol
from edge_fer.data.spec import read_dataset, read_faces
from edge_fer.errors import DataError

DEFAULT_SPLIT = "PrivateTest"
ALL = "all"
TEST_SPLITS = {"privatetest", "test", "testing", ALL}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which faces of a dataset.

    Attributes:
        data: Specification, ``name:path``.
        split: A split, or ``all``; PrivateTest if neither it nor ``protocol`` is given.
        protocol: File of ``edge-fer data split``.
        fold: Name of a fold in ``protocol``; may be left out if there is only one.
    """

    data: str
    split: str | None = None
    protocol: Path | None = None
    fold: str | None = None

    def __post_init__(self) -> None:
        if self.protocol and self.split:
            raise DataError("--split and --protocol exclude each other")
        if self.fold and not self.protocol:
            raise DataError("--fold needs --protocol, the file that has the fold")

    @property
    def part(self) -> str:
        """The split's name, ``test`` for a fold."""
        return "test" if self.protocol else self.split or DEFAULT_SPLIT

    @property
    def is_test(self) -> bool:
        """True if nothing may be chosen or fitted on these faces."""
        return self.protocol is not None or self.part.lower() in TEST_SPLITS


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Faces to be measured on.

    Attributes:
        faces: All labelled.
        leaked_N: bool ``[N]``, True where an image also occurs in the training part; ``None`` where
            no part of the dataset is meant for training.
        fold: Name of the fold, empty without a protocol.
    """

    faces: Faces
    leaked_N: np.ndarray | None
    fold: str = ""


def read_selection(selection: Selection) -> Labelled:
    """Reads the faces that are selected.

    Raises:
        DataError: Data or protocol cannot be used, there is no such split or fold, or a face has no
            label.
    """
    if selection.protocol:
        return _read_fold(selection, selection.protocol)
    if selection.part.lower() == ALL:
        dataset = read_dataset(selection.data)
        faces = faces_named(dataset, [item.name for item in dataset.items], ALL)
        require_labels(faces)
        return Labelled(faces=faces, leaked_N=None)
    faces, leaked_N = read_labelled(selection.data, selection.part)
    return Labelled(faces=faces, leaked_N=leaked_N)


def read_labelled(spec: str, split: str) -> tuple[Faces, np.ndarray]:
    """Reads a labelled split, and marks its faces that also occur in Training."""
    faces = read_faces(spec, split)
    require_labels(faces)
    return faces, repeats_in(read_faces(spec, "Training"), faces)


def require_same_labels(labels: tuple[str, ...], faces: Faces) -> None:
    """Raises ``DataError`` unless model and data have the same vocabulary."""
    if labels != faces.label_names:
        raise DataError(
            f"the model's labels ({', '.join(labels)}) are not those of {faces.source} "
            f"({', '.join(faces.label_names)})"
        )


def _read_fold(selection: Selection, protocol: Path) -> Labelled:
    dataset = read_dataset(selection.data)
    fold = find_fold(read_protocol(protocol, dataset), selection.fold or "", protocol)
    faces = faces_named(dataset, fold.test, f"{fold.name}:test")
    require_labels(faces)
    training = faces_named(dataset, fold.train, f"{fold.name}:train")
    return Labelled(faces=faces, leaked_N=repeats_in(training, faces), fold=fold.name)
