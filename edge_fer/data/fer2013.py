"""FER2013: 35,887 gray 48x48 faces in three official splits.

Three layouts are read:

* the official ``fer2013.csv`` (columns ``emotion,pixels,Usage``),
* a folder of class folders, ``train/angry/*.png`` and ``test/angry/*.png`` or the official split
  names (``Training``, ``PublicTest``, ``PrivateTest``),
* an ``.npz`` with ``images`` uint8 ``[N, 48, 48]``, ``labels`` uint8 and ``usage`` (0, 1, 2).

Known faults of the dataset: 1,853 exact repeats; 288 PrivateTest and 280 PublicTest images also
occur in Training; some labels are wrong and some images show no face.
"""

import csv
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge_fer.data.cache import Arrays, cached_arrays
from edge_fer.data.dataset import IMAGE_SUFFIXES, Dataset, Item, Row
from edge_fer.data.faces import Faces
from edge_fer.data.reading import Found, class_folder_items, dataset_of, only_in_splits
from edge_fer.errors import DataError
from edge_fer.labels import FER2013_LABELS

SPLITS = ("Training", "PublicTest", "PrivateTest")
SIZE_PX = 48
UNREADABLE_NPZ = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip
_FOLDER_NAMES = {
    "Training": ("Training", "train"),
    "PublicTest": ("PublicTest", "validation", "val"),
    "PrivateTest": ("PrivateTest", "test"),
}
#: Images uint8 ``[N, 48, 48]``, labels ``[N]`` and names of the faces of one split.
_Read = tuple[np.ndarray, np.ndarray, tuple[str, ...]]


def read_fer2013(path: Path, split: str) -> Faces:
    """Reads one official split.

    Args:
        path: ``fer2013.csv``, an ``.npz`` of the same, a folder of class folders, or a folder that
            holds ``fer2013.csv`` or ``fer2013.npz``.
        split: ``Training``, ``PublicTest`` or ``PrivateTest``.

    Raises:
        DataError: The path is missing, of another layout, damaged, or has no such split.
    """
    if split not in SPLITS:
        raise DataError(f"fer2013 has no split {split!r}; it has {', '.join(SPLITS)}")
    file = _locate(path)
    if file.is_dir():
        images, labels, names = _read_folder(file, split)
    elif file.suffix == ".npz":
        images, labels, names = _read_npz(file, split)
    else:
        images, labels, names = _read_csv(file, split)
    if not len(images):
        raise DataError(f"{file}: no faces in split {split}")
    return Faces(
        images_NHW=images,
        labels_N=labels.astype(np.int64),
        label_names=FER2013_LABELS,
        source=f"fer2013:{split}",
        names=names,
    )


def _locate(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.is_file():
        return path
    for name in ("fer2013.npz", "fer2013.csv"):
        if (path / name).is_file():
            return path / name
    return path


def _read_npz(file: Path, split: str) -> _Read:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            rows = arrays["usage"] == SPLITS.index(split)
            images, labels = arrays["images"][rows], arrays["labels"][rows]
    except UNREADABLE_NPZ as error:
        raise DataError(f"{file}: not a FER2013 npz ({error})") from error
    if images.dtype != np.uint8 or images.shape[1:] != (SIZE_PX, SIZE_PX):
        raise DataError(f"{file}: images are {images.dtype} {images.shape}, not uint8 [N, 48, 48]")
    outside = labels[(labels < 0) | (labels >= len(FER2013_LABELS))]
    if outside.size:
        raise DataError(f"{file}: label {outside[0]} is outside 0..6")
    return images, labels, _row_names(rows)


def _row_names(rows: np.ndarray) -> tuple[str, ...]:
    return tuple(_row_name(index) for index in np.flatnonzero(rows).tolist())


def _row_name(index: int) -> str:
    return f"{index:07d}"


def _read_csv(file: Path, split: str) -> _Read:
    images, labels, usage, problems = read_csv_arrays(file)
    if problems:
        raise DataError(problems[0])
    rows = usage == SPLITS.index(split)
    return images[rows], labels[rows], _row_names(rows)


def _parse_row(row: dict[str, str], where: str) -> tuple[np.ndarray, int]:
    try:
        label = int(row["emotion"])
        pixels = np.array(row["pixels"].split(), dtype=np.int64)
    except (ValueError, AttributeError, TypeError, OverflowError) as error:
        raise DataError(f"{where}: not a FER2013 row ({error})") from error
    if not 0 <= label < len(FER2013_LABELS):
        raise DataError(f"{where}: label {label} is outside 0..6")
    if pixels.size != SIZE_PX**2 or pixels.min() < 0 or pixels.max() > 255:
        raise DataError(f"{where}: {pixels.size} pixels; expected {SIZE_PX**2} values in 0..255")
    return pixels.astype(np.uint8), label


def _read_folder(folder: Path, split: str) -> _Read:
    names = _FOLDER_NAMES[split]
    root = next((folder / name for name in names if (folder / name).is_dir()), None)
    if root is None:
        raise DataError(f"{folder}: no folder {' or '.join(names)} for split {split}")
    images, labels, found = [], [], []
    for index, label in enumerate(FER2013_LABELS):
        for file in sorted((root / label).glob("*")):
            if file.suffix.lower() in IMAGE_SUFFIXES:
                images.append(_read_image(file))
                labels.append(index)
                found.append(file.relative_to(folder).as_posix())
    images_NHW = np.array(images, np.uint8).reshape(-1, SIZE_PX, SIZE_PX)
    return images_NHW, np.array(labels, np.int64), tuple(found)


def _read_image(file: Path) -> np.ndarray:
    import cv2

    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DataError(f"{file}: not an image that OpenCV can read")
    if image.shape != (SIZE_PX, SIZE_PX):
        raise DataError(f"{file}: {image.shape[1]}x{image.shape[0]} pixels; FER2013 has 48x48")
    return image


def read_fer2013_dataset(path: Path) -> Dataset:
    """Reads all splits as items; a row that cannot be used becomes a problem.

    Items from a CSV or an npz are named by their row, counted from 0 as ``0000000``.

    Args:
        path: As for ``read_fer2013``. Pictures in class folders are listed, not opened.

    Raises:
        DataError: The path is missing, of another layout or damaged, or holds no face.
    """
    file = _locate(path)
    if file.is_dir():
        found = _folder_items(file)
    elif file.suffix == ".npz":
        found = _npz_items(file)
    else:
        found = _csv_items(file)
    return dataset_of("fer2013", FER2013_LABELS, file, found)


def _array_items(
    images: np.ndarray, labels: np.ndarray, usage: np.ndarray, source: str
) -> Iterator[Found]:
    """Yields a row of an array per item, or why it has no place in FER2013."""
    for index, (label, split) in enumerate(zip(labels.tolist(), usage.tolist(), strict=True)):
        if label not in range(len(FER2013_LABELS)):
            yield f"{source}: row {index}: label {label} is outside 0..6"
        elif split not in range(len(SPLITS)):
            yield f"{source}: row {index}: usage {split} is outside 0..2"
        else:
            row = Row(images, index)
            name, usage_name = _row_name(index), SPLITS[int(split)]
            yield Item(name=name, source=row, label=int(label), split=usage_name)


def read_npz_arrays(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reads images, labels and usage of all rows; ``DataError`` unless they fit together."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            images, labels, usage = (arrays[key] for key in ("images", "labels", "usage"))
    except UNREADABLE_NPZ as error:
        raise DataError(f"{file}: not a FER2013 npz ({error})") from error
    if images.dtype != np.uint8 or images.shape[1:] != (SIZE_PX, SIZE_PX):
        raise DataError(f"{file}: images are {images.dtype} {images.shape}, not uint8 [N, 48, 48]")
    if not labels.shape == usage.shape == images.shape[:1]:
        raise DataError(f"{file}: {len(images)} images, labels {labels.shape}, usage {usage.shape}")
    return images, labels, usage


def _npz_items(file: Path) -> Iterator[Found]:
    return _array_items(*read_npz_arrays(file), str(file))


def read_csv_arrays(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Reads images, labels and usage of all rows, and a line for each that cannot be used.

    Rows keep their places: one that cannot be used is black, with label and usage -1.

    Raises:
        DataError: The file is not a FER2013 CSV.
    """
    try:
        arrays = cached_arrays(file, _parse_csv)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not a FER2013 CSV ({error})") from error
    images, labels, usage = (arrays[key] for key in ("images", "labels", "usage"))
    return images, labels, usage, arrays["problems"].tolist()


def _parse_csv(file: Path) -> Arrays:
    images, labels, usage, problems = [], [], [], []
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = {"emotion", "pixels", "Usage"} - set(reader.fieldnames or ())
        if missing:
            raise DataError(f"{file}: no column {', '.join(sorted(missing))}")
        for row in reader:
            where = f"{file}:{reader.line_num}"
            try:
                image, label = _parse_row(row, where)
                split = _split_index(row["Usage"], where)
            except DataError as error:
                problems.append(str(error))
                image, label, split = np.zeros(SIZE_PX**2, np.uint8), -1, -1
            images.append(image)
            labels.append(label)
            usage.append(split)
    return {
        "images": np.array(images, np.uint8).reshape(-1, SIZE_PX, SIZE_PX),
        "labels": np.array(labels, np.int64),
        "usage": np.array(usage, np.int64),
        "problems": np.array(problems, np.str_),
    }


def _split_index(usage: str, where: str) -> int:
    if usage not in SPLITS:
        raise DataError(f"{where}: usage {usage!r} is none of {', '.join(SPLITS)}")
    return SPLITS.index(usage)


def _csv_items(file: Path) -> Iterator[Found]:
    images, labels, usage, problems = read_csv_arrays(file)
    yield from problems
    for found in _array_items(images, labels, usage, str(file)):
        if isinstance(found, Item):
            yield found


def _folder_items(folder: Path) -> Iterator[Found]:
    splits = {name: split for split, names in _FOLDER_NAMES.items() for name in names}
    return only_in_splits(
        class_folder_items(folder, FER2013_LABELS, split_of=lambda name: splits.get(name, ""))
    )
