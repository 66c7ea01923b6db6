"""Micro-expression clips with annotated frames: CASME, CASME II, CAS(ME)^2 and SAMM.

Each has an Excel table of onset, apex, offset and emotion, and a folder of frames per clip. The
table may also be a CSV file with the same columns. Where original and cropped frames are both
there, the cropped ones are read. Frames are found by the number at the end of their names, so a
folder may hold the whole recording or just the clip.

An apex that is not annotated, or not between onset and offset, is -1. An offset that is not
annotated (0 or ``/``) is the apex.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_fer.data.dataset import Clip, Dataset, Item
from edge_fer.data.reading import (
    Found,
    cropped_first,
    dataset_of,
    each,
    pictures_by_folder,
    require,
)
from edge_fer.data.tables import TableRow, find_tables, read_table
from edge_fer.errors import DataError
from edge_fer.labels import CASME2_LABELS, CASME_LABELS, MICRO_4, SAMM_LABELS, canonical_label

_SUBJECT, _FILE = "Subject", "Filename|File name"
_ONSET = "OnsetFrame|Onset|OnsetF"
_APEX = "ApexFrame|Apex|ApexF1|ApexF"
_OFFSET = "OffsetFrame|Offset|OffsetF"
_EMOTION = "Estimated Emotion|Emotion"
_TYPE = "Expression type|Type"
_CAS_ME_2_HEADER = (
    "subject", "filename", "onset", "apex", "offset", "action units", "emotion", "type",
    "self-report",
)  # fmt: skip
_CAS_ME_2_SUBJECTS = (
    15, 16, 19, 20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 40,
)  # fmt: skip
_CAS_ME_2_VIDEOS = {
    "disgust1": "0101", "disgust2": "0102", "anger1": "0401", "anger2": "0402", "happy1": "0502",
    "happy2": "0503", "happy3": "0505", "happy4": "0507", "happy5": "0508",
}  # fmt: skip

Folders = dict[Path, list[Path]]


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How one dataset is laid out.

    Attributes:
        name: As in a specification.
        tables: Regular expression of its tables' names.
        newest: Only the last of several tables is in force.
        label_names: Its vocabulary.
        subject_of: From a row to the subject.
        is_clip: Whether a folder, by its path's last parts, holds the clip of a row.
        header: Its table's columns, where it has no header row.
    """

    name: str
    tables: str
    newest: bool
    label_names: tuple[str, ...]
    subject_of: Callable[[TableRow], str]
    is_clip: Callable[[TableRow, str, tuple[str, ...]], bool]
    header: tuple[str, ...] = ()


def read_casme(path: Path) -> Dataset:
    """Reads CASME, sections A and B: ``sub01/EP01_5/*.jpg`` and a table per section.

    Raises:
        DataError: No table, no clip, or an Excel table without the package that reads it.
    """
    return _read(path, _CASME)


def read_casme2(path: Path) -> Dataset:
    """Reads CASME II: ``CASME2-coding-*.xlsx`` and ``sub01/EP02_01f/img46.jpg``.

    Raises:
        DataError: No table, no clip, or an Excel table without the package that reads it.
    """
    return _read(path, _CASME2)


def read_cas_me_2(path: Path) -> Dataset:
    """Reads CAS(ME)^2: ``code_final.xlsx`` and ``rawpic/s15/15_0101disgustingteeth/img1.jpg``.

    Clips cut to ``s15/anger1_1`` are read as well. Micro- and macro-expressions are both there,
    tagged ``micro`` and ``macro``.

    Raises:
        DataError: No table, no clip, or an Excel table without the package that reads it.
    """
    return _read(path, _CAS_ME_2)


def read_samm(path: Path) -> Dataset:
    """Reads SAMM: ``SAMM_Micro_FACS_Codes_v2.xlsx`` and ``006/006_1_2/006_05562.jpg``.

    Raises:
        DataError: No table, no clip, or an Excel table without the package that reads it.
    """
    return _read(path, _SAMM)


def _read(path: Path, layout: _Layout) -> Dataset:
    tables = find_tables(require(path), layout.tables)
    if not tables:
        raise DataError(f"{path}: no table of {layout.name} here (.xlsx or .csv)")
    root = path.parent if path.is_file() else path
    folders = pictures_by_folder(root)
    places = cropped_first(root, folders)
    found = (
        one
        for table in (tables[-1:] if layout.newest else tables)
        for one in _items(table, layout, {place: folders[place] for place in places})
    )
    return dataset_of(layout.name, layout.label_names, path, found)


def _items(table: Path, layout: _Layout, folders: Folders) -> Iterator[Found]:
    rows = read_table(table, (_SUBJECT, _FILE, _ONSET, _APEX, _OFFSET, _EMOTION), layout.header)
    return each(rows, lambda row: _item(row, layout, folders))


def _item(row: TableRow, layout: _Layout, folders: Folders) -> Item:
    emotion = canonical_label(row.text(_EMOTION))
    if emotion not in layout.label_names:
        raise DataError(f"{row.where}: emotion {row.text(_EMOTION)!r} is not known")
    subject = layout.subject_of(row)
    frames = _frames(row, layout, subject, folders)
    kind = re.match(r"micro|macro", row.text(_TYPE).lower())
    return Item(
        name=f"{subject}/{row.text(_FILE)}",
        source=cut(frames, *_annotated_frames(row), where=row.where),
        label=layout.label_names.index(emotion),
        subject=subject,
        tags=(kind.group(),) if kind else (),
    )


def _frames(row: TableRow, layout: _Layout, subject: str, folders: Folders) -> list[Path]:
    for folder, frames in folders.items():
        if layout.is_clip(row, subject, folder.parts[-2:]):
            return frames
    raise DataError(f"{row.where}: no folder of frames for {subject}/{row.text(_FILE)}")


def _annotated_frames(row: TableRow) -> tuple[int, int, int]:
    onset = row.integer(_ONSET)
    apex = _optional(row, _APEX)
    offset = _optional(row, _OFFSET)
    if offset < 1 and apex < 1:
        raise DataError(f"{row.where}: neither apex nor offset is annotated")
    return onset, apex, offset if offset >= 1 else apex


def _optional(row: TableRow, columns: str) -> int:
    return -1 if row.text(columns) in ("", "/", "-") else row.integer(columns)


def cut(frames: list[Path], onset: int, apex: int, offset: int, *, where: str) -> Clip:
    """Makes a clip of the frames between two frame numbers.

    Args:
        frames: Pictures whose names end in their frame number, in order.
        onset: Frame number; the clip begins at the first frame not before it.
        apex: Frame number, -1 if it is not annotated.
        offset: Frame number; the clip ends at the last frame not after it.
        where: For messages.

    Raises:
        DataError: No frame is between onset and offset.
    """
    numbers = [_frame_number(frame) for frame in frames]
    inside = [index for index, number in enumerate(numbers) if onset <= number <= offset]
    if not inside:
        raise DataError(f"{where}: no frame from {onset} to {offset} in {frames[0].parent}")
    peak = numbers.index(apex) if apex in numbers else -1
    return Clip(
        files=tuple(frames),
        onset=inside[0],
        apex=peak if inside[0] <= peak <= inside[-1] else -1,
        offset=inside[-1],
    )


def _frame_number(frame: Path) -> int:
    numbers = re.findall(r"[0-9]+", frame.stem)
    return int(numbers[-1]) if numbers else -1


def _casme_subject(row: TableRow) -> str:
    digits = re.search(r"[0-9]+", row.text(_SUBJECT))
    if digits is None:
        raise DataError(f"{row.where}: subject {row.text(_SUBJECT)!r} is not a number")
    return f"sub{int(digits.group()):02d}"


def _samm_subject(row: TableRow) -> str:
    return row.text(_FILE).partition("_")[0].zfill(3)


def _cas_me_2_subject(row: TableRow) -> str:
    number = row.integer(_SUBJECT)
    if not 1 <= number <= len(_CAS_ME_2_SUBJECTS):
        raise DataError(f"{row.where}: subject {number} is outside 1..{len(_CAS_ME_2_SUBJECTS)}")
    return f"s{_CAS_ME_2_SUBJECTS[number - 1]}"


def _is_clip_folder(row: TableRow, subject: str, parts: tuple[str, ...]) -> bool:
    return tuple(part.lower() for part in parts) == (subject, row.text(_FILE).lower())


def _is_cas_me_2_folder(row: TableRow, subject: str, parts: tuple[str, ...]) -> bool:
    person, *rest = (part.lower() for part in parts)
    if person not in (subject, subject[1:]) or not rest:
        return False
    clip = row.text(_FILE).lower()
    video = _CAS_ME_2_VIDEOS.get(clip.partition("_")[0], "")
    return rest[0] == clip or (bool(video) and rest[0].startswith(f"{subject[1:]}_{video}"))


_CASME = _Layout(
    name="casme",
    tables=r"casme|coding|label",
    newest=False,
    label_names=CASME_LABELS,
    subject_of=_casme_subject,
    is_clip=_is_clip_folder,
)
_CASME2 = _Layout(
    name="casme2",
    tables=r"casme2|coding",
    newest=True,
    label_names=CASME2_LABELS,
    subject_of=_casme_subject,
    is_clip=_is_clip_folder,
)
_CAS_ME_2 = _Layout(
    name="cas-me-2",
    tables=r"code|cas\(me\)",
    newest=True,
    label_names=MICRO_4,
    subject_of=_cas_me_2_subject,
    is_clip=_is_cas_me_2_folder,
    header=_CAS_ME_2_HEADER,
)
_SAMM = _Layout(
    name="samm",
    tables=r"samm|facs",
    newest=True,
    label_names=SAMM_LABELS,
    subject_of=_samm_subject,
    is_clip=_is_clip_folder,
)
