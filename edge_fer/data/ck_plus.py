"""CK+, the extended Cohn-Kanade dataset: 593 posed sequences of 123 people, 327 of them labelled.

Three layouts are read:

* the official one: ``cohn-kanade-images/S005/001/S005_001_00000011.png`` and
  ``Emotion/S005/001/S005_001_00000011_emotion.txt``, which holds a number from 0 to 7. A sequence
  goes from neutral to its peak: the last three frames have its label, the first one is neutral,
* class folders of 48x48 faces, ``anger/S010_004_00000017.png``,
* a CSV ``emotion,pixels,Usage`` of 48x48 faces, 0 to 7 = FER2013's classes and contempt. It does
  not say who is who, so it cannot be split by subject.

Every labelled sequence gives a neutral frame, those of contempt too, which matters where contempt
is then left out.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_fer.data.dataset import Dataset, Item, Row
from edge_fer.data.reading import (
    Found,
    class_folder_items,
    dataset_of,
    first_and_last,
    first_existing,
    pictures_by_folder,
    require,
)
from edge_fer.data.tables import TableRow, read_table
from edge_fer.errors import DataError
from edge_fer.labels import CK_PLUS_CODES, EXPRESSIONS

SIZE_PX = 48
PEAK_FRAMES = 3
_IMAGES = ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images")
_EMOTIONS = ("Emotion", "Emotion_labels/Emotion", "Emotion_labels")


def read_ck_plus(path: Path) -> Dataset:
    """Reads CK+.

    Args:
        path: The folder with ``cohn-kanade-images`` and ``Emotion``, a folder of class folders, or
            a CSV file.

    Raises:
        DataError: The path is missing, of another layout, or holds no face.
    """
    if require(path).is_file():
        return dataset_of("ck-plus", EXPRESSIONS, path, _csv_items(path))
    images = first_existing(path, *_IMAGES)
    emotions = first_existing(path, *_EMOTIONS)
    if images is None and emotions is None:
        return dataset_of("ck-plus", EXPRESSIONS, path, class_folder_items(path, EXPRESSIONS))
    if images is None or emotions is None:
        missing = _IMAGES[0] if images is None else _EMOTIONS[0]
        raise DataError(f"{path}: no folder {missing}")
    return dataset_of("ck-plus", EXPRESSIONS, path, _sequences(images, emotions))


def _sequences(images: Path, emotions: Path) -> Iterator[Found]:
    unlabelled = 0
    for folder, frames in pictures_by_folder(images).items():
        sequence = folder.relative_to(images)
        files = sorted((emotions / sequence).glob("[!.]*_emotion.txt"))
        if not files:
            unlabelled += 1
            continue
        try:
            label = _read_label(files[-1])
        except DataError as error:
            yield str(error)
            continue
        yield from _frames(images, frames, label, sequence.parts[0] if sequence.parts else "")
    if unlabelled:
        yield f"{unlabelled} sequences have no emotion label"


def _read_label(file: Path) -> int:
    try:
        code = float(file.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: not an emotion label") from error
    if code not in CK_PLUS_CODES:
        raise DataError(f"{file}: {code:g} is outside 0..7")
    return EXPRESSIONS.index(CK_PLUS_CODES[int(code)])


def _frames(root: Path, frames: list[Path], label: int, subject: str) -> Iterator[Item]:
    first, peak = first_and_last(frames, PEAK_FRAMES)
    neutral = [] if first is None else [(first, EXPRESSIONS.index("neutral"))]
    for frame, frame_label in (*neutral, *((frame, label) for frame in peak)):
        name = frame.relative_to(root).as_posix()
        yield Item(name=name, source=frame, label=frame_label, subject=subject)


def _csv_items(file: Path) -> Iterator[Found]:
    faces = [_face(row) for row in read_table(file, ("emotion", "pixels"))]
    black = np.zeros(SIZE_PX**2, np.uint8)
    images = [black if isinstance(face, str) else face[0] for face in faces]
    array = np.array(images, np.uint8).reshape(-1, SIZE_PX, SIZE_PX)
    for index, face in enumerate(faces):
        if isinstance(face, str):
            yield face
        else:
            _, label, split = face
            yield Item(name=f"{index:07d}", source=Row(array, index), label=label, split=split)


def _face(row: TableRow) -> tuple[np.ndarray, int, str] | str:
    try:
        return _pixels(row), _label(row), row.text("Usage")
    except DataError as error:
        return str(error)


def _label(row: TableRow) -> int:
    label = row.integer("emotion")
    if label not in range(len(EXPRESSIONS)):
        raise DataError(f"{row.where}: emotion {label} is outside 0..7")
    return label


def _pixels(row: TableRow) -> np.ndarray:
    try:
        pixels = np.array(row.text("pixels").split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{row.where}: pixels are not numbers") from error
    if pixels.size != SIZE_PX**2 or pixels.min() < 0 or pixels.max() > 255:
        raise DataError(f"{row.where}: {pixels.size} pixels; expected {SIZE_PX**2} in 0..255")
    return pixels.astype(np.uint8)
