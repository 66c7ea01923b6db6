"""Datasets recorded in a laboratory: JAFFE, MUG, OULU-CASIA, ISED, DISFA and IMED.

JAFFE, MUG and OULU-CASIA are read as they are handed out. ISED, DISFA and IMED are read from class
folders, in which a subject (``S01``, ``sub01``, ``7``) may have a folder above or below the class,
or begin the file's name (``S01_...``).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge_fer.data.dataset import Dataset, Item
from edge_fer.data.reading import (
    Found,
    class_folder_items,
    cropped_first,
    dataset_of,
    first_and_last,
    pictures_by_folder,
    require_folder,
)
from edge_fer.errors import DataError
from edge_fer.labels import FER2013_LABELS, JAFFE_CODES, canonical_label

PEAK_FRAMES = 3
_JAFFE_NAME = re.compile(r"([a-z]{2})\.(an|di|fe|ha|ne|sa|su)[0-9]+\.[0-9]+", re.IGNORECASE)
_OULU_SUBJECT = re.compile(r"P[0-9]{3}", re.IGNORECASE)
_OULU_SPECTRA = {"vl": "vis", "vi": "vis", "ni": "nir"}
_OULU_LIGHT = ("strong", "weak", "dark")
_MUG_SUBJECT = re.compile(r"[0-9]{3}")


def read_jaffe(path: Path) -> Dataset:
    """Reads JAFFE: 213 faces of ten women, ``KA.AN1.39.tiff`` = subject KA, angry.

    Raises:
        DataError: The path is missing or holds no face of that name.
    """
    root = require_folder(path)
    pictures = [file for files in pictures_by_folder(root).values() for file in files]
    return dataset_of("jaffe", FER2013_LABELS, path, _jaffe_items(root, pictures))


def _jaffe_items(root: Path, pictures: Iterable[Path]) -> Iterator[Found]:
    for picture in pictures:
        name = picture.relative_to(root).as_posix()
        match = _JAFFE_NAME.match(picture.name)
        if match is None:
            yield f"{name}: not named like KA.AN1.39.tiff"
            continue
        label = FER2013_LABELS.index(JAFFE_CODES[match.group(2).upper()])
        yield Item(name=name, source=picture, label=label, subject=match.group(1).upper())


def read_mug(path: Path) -> Dataset:
    """Reads MUG: ``001/anger/take000/img_0000.jpg``, sequences of posed expressions.

    A sequence goes from neutral to its peak and back: the three frames in its middle are taken.
    Faces in the folder ``neutral`` are the neutral ones. ``mixed`` is left out.

    Raises:
        DataError: The path is missing, of another layout, or holds no face.
    """
    root = require_folder(path)
    return dataset_of("mug", FER2013_LABELS, path, _mug_items(root))


def _mug_items(root: Path) -> Iterator[Found]:
    for folder, frames in pictures_by_folder(root).items():
        parts = folder.relative_to(root).parts
        label = _label_of(parts)
        subject = next(filter(_MUG_SUBJECT.fullmatch, parts), "")
        if label < 0 or not subject:
            yield f"{folder}: {len(frames)} pictures that are not in SUBJECT/EXPRESSION"
            continue
        start = max(0, (len(frames) - PEAK_FRAMES) // 2)
        for frame in frames[start : start + PEAK_FRAMES]:
            name = frame.relative_to(root).as_posix()
            yield Item(name=name, source=frame, label=label, subject=subject)


def read_oulu_casia(path: Path) -> Dataset:
    """Reads OULU-CASIA: ``VL/Strong/P001/Anger/000.jpeg``, 80 people, six expressions.

    A sequence goes from neutral to its peak: the last three frames have its label, the first one is
    neutral. Cameras and lights are tags: ``vis`` or ``nir``, and ``strong``, ``weak`` or ``dark``.
    Where originals and cropped faces are both there, the cropped ones are read.

    Raises:
        DataError: The path is missing, of another layout, or holds no face.
    """
    root = require_folder(path)
    return dataset_of("oulu-casia", FER2013_LABELS, path, _oulu_items(root))


def _oulu_items(root: Path) -> Iterator[Found]:
    sequences = pictures_by_folder(root)
    seen: dict[tuple[str, ...], Path] = {}
    for folder in cropped_first(root, sequences):
        parts = (root.resolve().name, *folder.relative_to(root).parts)
        label, tags = _label_of(parts), _oulu_tags(parts)
        subject = next(filter(_OULU_SUBJECT.fullmatch, reversed(parts)), "").upper()
        if label < 0 or not subject:
            yield f"{folder}: {len(sequences[folder])} pictures that are not in SUBJECT/EXPRESSION"
            continue
        key = (subject, FER2013_LABELS[label], *tags)
        if key in seen:
            yield f"{folder}: the same sequence as {seen[key]}"
            continue
        seen[key] = folder
        first, peak = first_and_last(sequences[folder], PEAK_FRAMES)
        neutral = [] if first is None else [(first, FER2013_LABELS.index("neutral"))]
        for frame, frame_label in (*neutral, *((frame, label) for frame in peak)):
            name = frame.relative_to(root).as_posix()
            yield Item(name=name, source=frame, label=frame_label, subject=subject, tags=tags)


def _oulu_tags(parts: tuple[str, ...]) -> tuple[str, ...]:
    spectra = [
        _OULU_SPECTRA[part[:2].lower()]
        for part in parts
        if re.match(r"(vl|ni|vis)([_ r-]|$)", part, re.I)
    ]
    light = [part.lower() for part in parts if part.lower() in _OULU_LIGHT]
    return (*spectra[-1:], *light[-1:])


def _label_of(parts: tuple[str, ...]) -> int:
    for part in reversed(parts):
        name = canonical_label(part)
        if name in FER2013_LABELS:
            return FER2013_LABELS.index(name)
    return -1


def read_ised(path: Path) -> Dataset:
    """Reads ISED, spontaneous expressions of 50 people, from class folders.

    Raises:
        DataError: The path is missing or holds no face in a folder that names an expression.
    """
    return _class_folders("ised", path)


def read_imed(path: Path) -> Dataset:
    """Reads the seven single emotions of IMED from class folders; mixed emotions are left out.

    Raises:
        DataError: The path is missing or holds no face in a folder that names an expression.
    """
    return _class_folders("imed", path)


def read_disfa(path: Path) -> Dataset:
    """Reads DISFA frames that were sorted into class folders.

    DISFA itself has intensities of twelve action units, not expressions. Its units lack 7 and 23,
    by which anger is told, so the classes that papers use cannot be derived from them here.

    Raises:
        DataError: The path is missing, is DISFA as it is handed out, or holds no face in a folder
            that names an expression.
    """
    if (require_folder(path) / "ActionUnit_Labels").is_dir():
        raise DataError(
            f"{path}: DISFA's action units do not say which expression a frame shows; sort frames "
            "into class folders, e.g. happy/SN001_0123.png"
        )
    return _class_folders("disfa", path)


def _class_folders(name: str, path: Path) -> Dataset:
    found = class_folder_items(require_folder(path), FER2013_LABELS)
    return dataset_of(name, FER2013_LABELS, path, found)
