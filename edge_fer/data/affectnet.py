"""AffectNet: faces from the web in eight classes.

Two layouts are read:

* the lists ``training.csv`` and ``validation.csv`` (columns ``subDirectory_filePath``,
  ``expression`` and more; also without the header row), alone or in
  ``Manually_Annotated_file_lists``, with the images in ``Manually_Annotated_Images`` (or
  ``Manually_Annotated``),
* ``train_set/images/0.jpg`` with ``train_set/annotations/0_exp.npy``, and the same in ``val_set``.

Expressions 8, 9 and 10 (none, uncertain, no face) are left out and counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edge_fer.data.dataset import Dataset, Item
from edge_fer.data.reading import (
    Found,
    dataset_of,
    first_existing,
    pictures_by_folder,
    require_folder,
    require_picture,
)
from edge_fer.data.tables import read_table
from edge_fer.errors import DataError
from edge_fer.labels import AFFECTNET_CODES, EXPRESSIONS

_LISTS = {
    "train": ("training.csv", "train.csv"),
    "val": ("validation.csv", "val.csv", "valid.csv"),
}
_LIST_FOLDERS = ("", "Manually_Annotated_file_lists/")
_IMAGE_FOLDERS = (
    "Manually_Annotated_Images",
    "Manually_Annotated/Manually_Annotated_Images",
    "Manually_Annotated",
)
_HEADER = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
    "expression", "valence", "arousal",
)  # fmt: skip
_SETS = {"train": "train_set", "val": "val_set"}
_NO_EXPRESSION = {8: "none", 9: "uncertain", 10: "no face"}


@dataclass(frozen=True)
class _Entry:
    name: str
    picture: Path
    split: str
    where: str
    read_code: Callable[[], int]


def read_affectnet(path: Path) -> Dataset:
    """Reads AffectNet from its folder.

    Raises:
        DataError: The path is missing, of another layout, or holds no face.
    """
    root = require_folder(path)
    sets = {split: root / name for split, name in _SETS.items() if (root / name).is_dir()}
    entries = _annotated_entries(root, sets) if sets else _listed_entries(root)
    return dataset_of("affectnet", EXPRESSIONS, path, _items(entries))


def _listed_entries(root: Path) -> Iterator[_Entry]:
    files = {
        split: first_existing(root, *(folder + name for folder in _LIST_FOLDERS for name in names))
        for split, names in _LISTS.items()
    }
    if not any(files.values()):
        raise DataError(f"{root}: neither training.csv, validation.csv nor train_set, val_set")
    images = first_existing(root, *_IMAGE_FOLDERS) or root
    for split, file in files.items():
        if file is None:
            continue
        for row in read_table(file, ("subDirectory_filePath", "expression"), _HEADER):
            name = row.text("subDirectory_filePath")
            yield _Entry(name, images / name, split, row.where, partial(row.integer, "expression"))


def _annotated_entries(root: Path, sets: dict[str, Path]) -> Iterator[_Entry]:
    for split, folder in sets.items():
        for pictures in pictures_by_folder(require_folder(folder / "images")).values():
            for picture in pictures:
                name = picture.relative_to(root).as_posix()
                annotation = folder / "annotations" / f"{picture.stem}_exp.npy"
                yield _Entry(name, picture, split, name, partial(_read_annotation, annotation))


def _read_annotation(file: Path) -> int:
    try:
        return int(np.load(file, allow_pickle=False).item())
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: not the annotation of an expression ({error})") from error


def _items(entries: Iterable[_Entry]) -> Iterator[Found]:
    left_out: Counter[str] = Counter()
    for entry in entries:
        found = _found(entry)
        if isinstance(found, int):
            left_out[_NO_EXPRESSION[found]] += 1
        else:
            yield found
    if left_out:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(left_out.items()))
        yield f"{left_out.total()} faces are of no class: {counts}"


def _found(entry: _Entry) -> Found | int:
    try:
        code = entry.read_code()
        return code if code in _NO_EXPRESSION else _item(entry, code)
    except (DataError, OSError) as error:
        return str(error)


def _item(entry: _Entry, code: int) -> Item:
    if code not in AFFECTNET_CODES:
        raise DataError(f"{entry.where}: expression {code} is outside 0..10")
    return Item(
        name=entry.name,
        source=require_picture(entry.picture),
        label=EXPRESSIONS.index(AFFECTNET_CODES[code]),
        split=entry.split,
    )
