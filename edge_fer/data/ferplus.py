"""FERPlus: FER2013's images, each labelled anew by ten people, in eight classes.

Two layouts are read:

* ``fer2013new.csv`` (columns ``Usage,Image name,neutral,...,contempt,unknown,NF``, a row for each
  row of FER2013) beside ``fer2013.csv`` or ``fer2013.npz``,
* FER2013's npz with ``ferplus_votes`` ``[N, 10]`` and ``ferplus_columns``, the columns' names.

The label is the class with most of the ten votes. Where classes share the first place, the one
whose column comes first is taken (1,580 faces). Rows on which more people chose "unknown" or "NF"
(no face) than any class are left out (399), which leaves 28,389, 3,553 and 3,546 faces. Votes for
the eight classes are kept with every item. An item is named by its row and by the name FERPlus gave
it, ``0000060 fer0000059``.

A face on which its annotators agree has the tag ``majority``: with votes left out that one person
alone gave, a class has more than half of them. That is the mode ``majority`` of the authors' code
(github.com/microsoft/FERPlus), which drops all other faces and keeps 25,060, 3,199 and 3,153.

Lists of occluded and turned faces (``jianfei_occlusion_list.txt``, ``pose_30_ferplus_list.txt``,
``pose_45_ferplus_list.txt``) become the tags ``occlusion``, ``pose-30`` and ``pose-45``.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_fer.data.dataset import Dataset, Item, Row
from edge_fer.data.fer2013 import SPLITS, UNREADABLE_NPZ, read_csv_arrays, read_npz_arrays
from edge_fer.data.reading import Found, dataset_of, first_existing, require
from edge_fer.data.subset_lists import tagged
from edge_fer.data.tables import TableRow, read_table
from edge_fer.errors import DataError
from edge_fer.labels import EXPRESSIONS, FERPLUS_COLUMNS, canonical_label

VOTES_FILE = "fer2013new.csv"
MAJORITY = "majority"
_NO_VOTES = "{path}: no " + VOTES_FILE + " here, and no fer2013.npz with ferplus_votes"
_LISTS = {
    "jianfei_occlusion_list.txt": "occlusion",
    "pose_30_ferplus_list.txt": "pose-30",
    "pose_45_ferplus_list.txt": "pose-45",
}
_COLUMN_OF_CLASS = [FERPLUS_COLUMNS.index(name) for name in EXPRESSIONS]


@dataclass(frozen=True, kw_only=True)
class _Votes:
    """Votes row by row, in the order of ``FERPLUS_COLUMNS``; a row of -1 could not be read."""

    votes_NK: np.ndarray
    names: list[str]
    problems: list[str]


def read_ferplus(path: Path) -> Dataset:
    """Reads FERPlus.

    Args:
        path: The folder, or the npz, ``fer2013new.csv`` or ``fer2013.csv`` in it.

    Raises:
        DataError: Votes or images are missing, damaged or of different lengths.
    """
    folder, npz, table = _locate(path)
    if npz is not None and (table is None or npz == path):
        images, _, usage = read_npz_arrays(npz)
        votes, problems = _npz_votes(npz, len(images)), list[str]()
    elif table is not None:
        images, usage, problems = _images_beside(folder, npz)
        votes = _table_votes(table)
    else:
        raise DataError(_NO_VOTES.format(path=path))
    if len(votes.votes_NK) != len(images):
        raise DataError(f"{path}: {len(images)} images, but votes for {len(votes.votes_NK)}")
    found = _items(images, usage, votes)
    return dataset_of(
        "ferplus",
        EXPRESSIONS,
        path,
        tagged((*problems, *votes.problems, *found), [folder], _LISTS, r"fer[0-9]{7}"),
    )


def has_votes(path: Path) -> bool:
    """Tells whether there are votes at the path of ``read_ferplus``."""
    _, npz, table = _locate(path)
    if table is not None and npz != path:
        return True
    if npz is None:
        return False
    try:
        with npz.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return "ferplus_votes" in arrays
    except UNREADABLE_NPZ:
        return False


def read_votes(path: Path) -> np.ndarray:
    """Reads the votes on every row of FER2013.

    Args:
        path: As for ``read_ferplus``.

    Returns:
        int64 ``[N, 8]`` in the order of ``EXPRESSIONS``; -1 where a row could not be read.

    Raises:
        DataError: There are no votes, or they are damaged.
    """
    _, npz, table = _locate(path)
    if table is not None and npz != path:
        votes = _table_votes(table)
    elif npz is not None:
        votes = _npz_votes(npz, len(read_npz_arrays(npz)[0]))
    else:
        raise DataError(_NO_VOTES.format(path=path))
    return votes.votes_NK[:, _COLUMN_OF_CLASS]


def _locate(path: Path) -> tuple[Path, Path | None, Path | None]:
    """Returns the folder, and the npz and the table of votes if they are there."""
    folder = require(path) if path.is_dir() else require(path).parent
    npz = path if path.suffix == ".npz" else first_existing(folder, "fer2013.npz")
    return folder, npz, first_existing(folder, VOTES_FILE)


def _images_beside(folder: Path, npz: Path | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    if npz is not None:
        images, _, usage = read_npz_arrays(npz)
        return images, usage, []
    images, _, usage, problems = read_csv_arrays(folder / "fer2013.csv")
    return images, usage, problems


def _npz_votes(file: Path, count: int) -> _Votes:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            votes, columns = arrays["ferplus_votes"], arrays["ferplus_columns"]
            names = arrays["ferplus_name"] if "ferplus_name" in arrays else np.full(count, "")
    except UNREADABLE_NPZ as error:
        raise DataError(f"{file}: no FERPlus votes in it ({error})") from error
    order = [str(column).lower() for column in columns.tolist()]
    order = [canonical_label(column) or column for column in order]
    if sorted(order) != sorted(FERPLUS_COLUMNS) or votes.shape != (count, len(order)):
        raise DataError(f"{file}: votes {votes.shape} for {', '.join(order)} are not FERPlus's")
    ordered = votes[:, [order.index(column) for column in FERPLUS_COLUMNS]]
    return _Votes(
        votes_NK=ordered.astype(np.int64), names=[str(name) for name in names], problems=[]
    )


def _table_votes(file: Path) -> _Votes:
    official = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")
    columns = (*official, "contempt", "unknown", "NF")
    votes, names, problems = [], [], []
    for row in read_table(file, columns):
        names.append(row.text("Image name"))
        try:
            votes.append([_vote(row, column) for column in columns])
        except DataError as error:
            votes.append([-1] * len(columns))
            problems.append(str(error))
    shaped = np.array(votes, np.int64).reshape(-1, len(columns))
    return _Votes(votes_NK=shaped, names=names, problems=problems)


def _vote(row: TableRow, column: str) -> int:
    vote = row.integer(column)
    if vote < 0:
        raise DataError(f"{row.where}: {column} is {vote}")
    return vote


def _items(images: np.ndarray, usage: np.ndarray, votes: _Votes) -> Iterator[Found]:
    left_out: Counter[str] = Counter()
    for index, row in enumerate(votes.votes_NK.tolist()):
        if usage[index] not in range(len(SPLITS)) or row[0] < 0:
            continue
        winner = FERPLUS_COLUMNS[row.index(max(row))] if any(row) else "without votes"
        if winner not in EXPRESSIONS:
            left_out[winner] += 1
            continue
        yield Item(
            name=f"{index:07d} {Path(votes.names[index]).stem}".rstrip(),
            source=Row(images, index),
            label=EXPRESSIONS.index(winner),
            split=SPLITS[int(usage[index])],
            tags=(MAJORITY,) if _has_majority(row) else (),
            votes=tuple(float(row[column]) for column in _COLUMN_OF_CLASS),
        )
    if left_out:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(left_out.items()))
        yield f"{left_out.total()} rows show no expression that most voted for: {counts}"


def _has_majority(votes_K: Sequence[int]) -> bool:
    shared = [vote for vote in votes_K if vote > 1]
    return 2 * max(shared, default=0) > sum(shared)
