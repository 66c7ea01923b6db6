"""Anyone's own faces: class folders, or a CSV file that lists them."""

from collections.abc import Iterator
from pathlib import Path

from edge_fer.data.dataset import Dataset, Item
from edge_fer.data.reading import (
    Found,
    class_folder_items,
    dataset_of,
    each,
    natural_key,
    only_in_splits,
    require_folder,
    require_picture,
)
from edge_fer.data.tables import TableRow, read_table
from edge_fer.errors import DataError

_SPLITS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def read_folder(path: Path) -> Dataset:
    """Reads class folders, ``happy/*.png``, or those of each split, ``train/happy/*.png``.

    Any names will do; the vocabulary is the folders' names, sorted. Splits are ``train``, ``val``
    and ``test`` (also ``training``, ``valid``, ``validation``, ``testing``). A subject (``S01``,
    ``sub01``, ``7``) may have a folder below the class or begin the file's name (``S01_...``).

    Raises:
        DataError: The path is missing or holds no pictures in folders.
    """
    root = require_folder(path)
    splits = [child for child in _children(root) if _is_split(child)]
    classes = {child.name for split in splits or [root] for child in _children(split)}
    label_names = tuple(sorted(classes, key=natural_key))
    found = class_folder_items(
        root,
        label_names,
        class_of=lambda name: name,
        split_of=lambda name: _SPLITS.get(name.lower(), "") if splits else "",
    )
    return dataset_of("folder", label_names, path, only_in_splits(found) if splits else found)


def _children(folder: Path) -> list[Path]:
    return [
        child
        for child in folder.iterdir()
        if child.is_dir() and not child.name.startswith(".") and child.name != "__MACOSX"
    ]


def _is_split(folder: Path) -> bool:
    return folder.name.lower() in _SPLITS and bool(_children(folder))


def read_csv(path: Path) -> Dataset:
    """Reads a CSV file of columns ``path,label`` and, if they are there, ``subject`` and ``split``.

    Paths are relative to the file's folder. The vocabulary is the labels, sorted.

    Raises:
        DataError: The file is missing, no CSV, lacks a column, or names no picture that is there.
    """
    rows = list(read_table(path, ("path", "label")))
    labels = {row.text("label") for row in rows} - {""}
    label_names = tuple(sorted(labels, key=natural_key))
    return dataset_of("csv", label_names, path, _listed(path.parent, rows, label_names))


def _listed(root: Path, rows: list[TableRow], label_names: tuple[str, ...]) -> Iterator[Found]:
    return each(rows, lambda row: _row_item(root, row, label_names))


def _row_item(root: Path, row: TableRow, label_names: tuple[str, ...]) -> Item:
    name, label = row.text("path"), row.text("label")
    if not name or not label:
        raise DataError(f"{row.where}: no {'label' if name else 'path'}")
    return Item(
        name=name,
        source=require_picture(root / name),
        label=label_names.index(label),
        subject=row.text("subject"),
        split=_SPLITS.get(row.text("split").lower(), row.text("split")),
    )
