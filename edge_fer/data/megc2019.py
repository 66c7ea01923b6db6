"""The composite of MEGC2019: 442 clips of 68 people from CASME II, SAMM and SMIC, in three classes.

Two forms are read:

* an npz of one optical-flow image per clip: ``flow`` uint8 ``[N, H, W, 3]``, ``label``,
  ``subject``, ``dataset``, ``name`` and ``label_names``,
* the challenge's list ``combined_3class_gt.csv`` (columns dataset, subject, clip, class from 0 to
  2, with or without a header row) beside the three datasets' folders. It says nothing about frames:
  a clip is its whole folder, without apex.

Subjects are named with their dataset, ``casme2/sub01``, so that they are unique.
"""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_fer.data.dataset import Clip, Dataset, Item, Row
from edge_fer.data.reading import (
    Found,
    cropped_first,
    dataset_of,
    each,
    first_existing,
    pictures_by_folder,
    require,
)
from edge_fer.data.tables import TableRow, read_table
from edge_fer.errors import DataError
from edge_fer.labels import MICRO_3

DATASETS = ("casme2", "samm", "smic")
_COLUMNS = ("dataset", "subject", "filename", "class")
_KEYS = ("flow", "label", "subject", "dataset", "name", "label_names")
_FILES = ("megc2019_flow28.npz", "megc2019.npz", "combined_3class_gt.csv", "megc2019.csv")


def read_megc2019(path: Path) -> Dataset:
    """Reads the composite.

    Args:
        path: The npz, the list, or the folder of either.

    Raises:
        DataError: The path is missing, of another form, or damaged.
    """
    file = first_existing(path, *_FILES) if require(path).is_dir() else path
    if file is None:
        raise DataError(f"{path}: none of {', '.join(_FILES)} here")
    if file.suffix.lower() == ".npz":
        dataset = dataset_of("megc2019", MICRO_3, file, _flow_items(file))
        return replace(dataset, flow=True)
    return dataset_of("megc2019", MICRO_3, file, _listed_items(file))


def _flow_items(file: Path) -> Iterator[Found]:
    arrays = _read_npz(file)
    flow, names = arrays["flow"], arrays["label_names"].tolist()
    counts = {len(arrays[key]) for key in _KEYS[:-1]}
    if flow.dtype != np.uint8 or flow.ndim != 4 or flow.shape[3] != 3 or len(counts) != 1:
        raise DataError(f"{file}: flow is {flow.dtype} {flow.shape}; rows per array: {counts}")
    columns = (arrays[key].tolist() for key in _KEYS[1:-1])
    for index, (label, subject, dataset, name) in enumerate(zip(*columns, strict=True)):
        known = label in range(len(names)) and names[label] in MICRO_3
        if not known or dataset not in DATASETS:
            yield f"{file}: row {index}: label {label} of {dataset} is not in the composite"
            continue
        yield Item(
            name=f"{dataset}/{name}",
            source=Row(flow, index),
            label=MICRO_3.index(names[label]),
            subject=f"{dataset}/{subject}",
            tags=(dataset,),
        )


def _read_npz(file: Path) -> dict[str, np.ndarray]:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            read = {key: np.atleast_1d(arrays[key]) for key in _KEYS}
    except (
        OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, zlib.error,
        zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise DataError(f"{file}: not an npz of MEGC2019 flow images ({error})") from error
    return read


def _listed_items(file: Path) -> Iterator[Found]:
    folders = pictures_by_folder(file.parent)
    by_name: dict[str, list[Path]] = {}
    for folder in cropped_first(file.parent, folders):
        by_name.setdefault(folder.name.lower(), []).append(folder)
    rows = read_table(file, _COLUMNS, _COLUMNS)
    return each(rows, lambda row: _listed_item(row, folders, by_name))


def _listed_item(
    row: TableRow, folders: dict[Path, list[Path]], by_name: dict[str, list[Path]]
) -> Item:
    dataset, subject, name = (row.text(column) for column in _COLUMNS[:3])
    label = row.integer("class")
    if label not in range(len(MICRO_3)) or dataset not in DATASETS:
        raise DataError(f"{row.where}: class {label} of {dataset!r} is not in the composite")
    for folder in by_name.get(name.lower(), []):
        if dataset == "smic" or folder.parent.name == subject:
            return Item(
                name=f"{dataset}/{subject}/{name}",
                source=Clip(files=tuple(folders[folder])),
                label=label,
                subject=f"{dataset}/{subject}",
                tags=(dataset,),
            )
    raise DataError(f"{row.where}: no folder of frames for {dataset} {subject}/{name}")
