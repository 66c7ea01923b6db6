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
from pathlib import Path

import cv2
import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.errors import DataError
from edge_fer.labels import FER2013_LABELS

SPLITS = ("Training", "PublicTest", "PrivateTest")
SIZE_PX = 48
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
_UNREADABLE_NPZ = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip
_FOLDER_NAMES = {
    "Training": ("Training", "train"),
    "PublicTest": ("PublicTest", "validation", "val"),
    "PrivateTest": ("PrivateTest", "test"),
}


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
        images, labels = _read_folder(file, split)
    elif file.suffix == ".npz":
        images, labels = _read_npz(file, split)
    else:
        images, labels = _read_csv(file, split)
    if not len(images):
        raise DataError(f"{file}: no faces in split {split}")
    return Faces(
        images_NHW=images,
        labels_N=labels.astype(np.int64),
        label_names=FER2013_LABELS,
        source=f"fer2013:{split}",
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


def _read_npz(file: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            rows = arrays["usage"] == SPLITS.index(split)
            images, labels = arrays["images"][rows], arrays["labels"][rows]
    except _UNREADABLE_NPZ as error:
        raise DataError(f"{file}: not a FER2013 npz ({error})") from error
    if images.dtype != np.uint8 or images.shape[1:] != (SIZE_PX, SIZE_PX):
        raise DataError(f"{file}: images are {images.dtype} {images.shape}, not uint8 [N, 48, 48]")
    outside = labels[(labels < 0) | (labels >= len(FER2013_LABELS))]
    if outside.size:
        raise DataError(f"{file}: label {outside[0]} is outside 0..6")
    return images, labels


def _read_csv(file: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = [], []
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            missing = {"emotion", "pixels", "Usage"} - set(reader.fieldnames or ())
            if missing:
                raise DataError(f"{file}: no column {', '.join(sorted(missing))}")
            for row in reader:
                if row["Usage"] == split:
                    image, label = _parse_row(row, f"{file}:{reader.line_num}")
                    images.append(image)
                    labels.append(label)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not a FER2013 CSV ({error})") from error
    return np.array(images, np.uint8).reshape(-1, SIZE_PX, SIZE_PX), np.array(labels, np.int64)


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


def _read_folder(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    names = _FOLDER_NAMES[split]
    root = next((folder / name for name in names if (folder / name).is_dir()), None)
    if root is None:
        raise DataError(f"{folder}: no folder {' or '.join(names)} for split {split}")
    images, labels = [], []
    for index, label in enumerate(FER2013_LABELS):
        for file in sorted((root / label).glob("*")):
            if file.suffix.lower() in IMAGE_SUFFIXES:
                images.append(_read_image(file))
                labels.append(index)
    return np.array(images, np.uint8).reshape(-1, SIZE_PX, SIZE_PX), np.array(labels, np.int64)


def _read_image(file: Path) -> np.ndarray:
    image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DataError(f"{file}: not an image that OpenCV can read")
    if image.shape != (SIZE_PX, SIZE_PX):
        raise DataError(f"{file}: {image.shape[1]}x{image.shape[0]} pixels; FER2013 has 48x48")
    return image
