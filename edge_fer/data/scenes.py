"""Photos for a face detector: with boxes, with one face, or without any.

The folder of a specification ``detect:FOLDER`` holds one zip file per set, of gray pictures and, if
it has boxes, ``annotations.csv`` (``file``, ``x``, ``y``, ``w``, ``h`` in pixels, among others). A
set that is not there is left out.

Which part a photo belongs to follows from a hash of its name, so that it never changes: 70 %
train, 10 % validation, 20 % test. Photos of one person, where names tell, stay together.

Shape suffixes: H, W pixels; N faces; 4 is ``x, y, w, h`` and 52 five points of ``x, y``.
"""

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from edge_fer.errors import DataError

PARTS = ("train", "validation", "test")
_SHARES = (70, 80, 100)
ANNOTATIONS = "annotations.csv"


def _no_boxes() -> np.ndarray:
    return np.empty((0, 4))


def _no_points() -> np.ndarray:
    return np.empty((0, 5, 2))


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photo and its faces, all in pixels of it.

    Attributes:
        name: ``set/file``.
        image_HW: uint8, gray.
        boxes_N4: float, faces.
        points_N52: float, their points as ``Detection.landmarks`` has them; NaN where unknown.
        ignored_N4: float, where something is that is neither asked for nor wrong.
    """

    name: str
    image_HW: np.ndarray
    boxes_N4: np.ndarray = field(default_factory=_no_boxes)
    points_N52: np.ndarray = field(default_factory=_no_points)
    ignored_N4: np.ndarray = field(default_factory=_no_boxes)


@dataclass(frozen=True, kw_only=True)
class SceneSet:
    """What is known of a set.

    Attributes:
        kind: ``boxes`` (every face has one), ``portraits`` (one roughly known face, and perhaps
            others that have no box) or ``scenes`` (no faces).
        group: Takes a file's stem, gives what photos that stay together have in common.
        excluded: Stems whose annotation is wrong.
        faceless: Stems, of the test part, in which a teacher sees a face and we do not.
    """

    kind: str
    group: Callable[[str], str] = str
    excluded: tuple[str, ...] = ()
    faceless: tuple[str, ...] = ()


def _person(stem: str) -> str:
    return re.sub(r"_\d+$", "", stem)


def _run_of_25(stem: str) -> str:
    return str(int(stem.rpartition("_")[2]) // 25)


SETS: dict[str, SceneSet] = {
    "facemask853": SceneSet(kind="boxes", excluded=("maksssksksss633",)),
    "caltech101_faces": SceneSet(kind="portraits", group=_run_of_25),
    "lfw_original150": SceneSet(kind="portraits", group=_person),
    "lfw_deepfunneled250": SceneSet(kind="portraits", group=_person),
    "scene15_indoor": SceneSet(kind="scenes"),
    "cs143_nonface_scenes": SceneSet(
        kind="scenes",
        faceless=("bathroom_sun_adbqksnwuqqwdpxc", "mosque_outdoor_sun_ajpzxaexxhxeujve"),
    ),
    "bsds500_gray": SceneSet(kind="scenes", faceless=("test_2018", "train_25098", "train_317080")),
}


def part_of(name: str) -> str:
    """Returns the part of ``PARTS`` that a photo called ``set/file`` belongs to."""
    folder, _, file = name.partition("/")
    group = SETS[folder].group(Path(file).stem) if folder in SETS else file
    family = "lfw" if folder.startswith("lfw_") else folder
    digest = hashlib.sha256(f"{family}/{group}".encode()).digest()
    rank = int.from_bytes(digest[:4], "big") % 100
    return next(part for part, end in zip(PARTS, _SHARES, strict=True) if rank < end)


def read_scenes(folder: Path, part: str) -> dict[str, list[Photo]]:
    """Reads one part of the sets in a folder.

    Args:
        folder: Holds the zip files.
        part: Of ``PARTS``.

    Returns:
        Photos by set; boxes as the set has them.

    Raises:
        DataError: No set is there, or one is damaged.
    """
    files = {name: folder / f"{name}.zip" for name in SETS}
    there = {name: file for name, file in files.items() if file.is_file()}
    if not there:
        raise DataError(f"{folder}: none of {', '.join(f'{name}.zip' for name in SETS)} is there")
    return {name: list(_read(file, part)) for name, file in there.items()}


def _read(file: Path, part: str) -> Iterator[Photo]:
    name = file.stem
    try:
        with zipfile.ZipFile(file) as archive:
            boxes = _boxes(archive) if ANNOTATIONS in archive.namelist() else {}
            for member in sorted(archive.namelist()):
                photo = f"{name}/{member}"
                stem = Path(member).stem
                if member == ANNOTATIONS or stem in SETS[name].excluded or part_of(photo) != part:
                    continue
                image_HW = _decoded(archive.read(member), photo)
                boxes_N4 = np.array(boxes.get(member, ()), float).reshape(-1, 4)
                points_N52 = np.full((len(boxes_N4), 5, 2), np.nan)
                yield Photo(name=photo, image_HW=image_HW, boxes_N4=boxes_N4, points_N52=points_N52)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: not a readable set of photos ({error})") from error


def _boxes(archive: zipfile.ZipFile) -> dict[str, list[list[float]]]:
    boxes: dict[str, list[list[float]]] = {}
    with archive.open(ANNOTATIONS) as stream:
        for row in csv.DictReader(io.TextIOWrapper(stream, "utf-8")):
            boxes.setdefault(row["file"], []).append([float(row[key]) for key in "xywh"])
    return boxes


def _decoded(content: bytes, name: str) -> np.ndarray:
    image_HW = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image_HW is None:
        raise DataError(f"{name}: not a readable picture")
    return image_HW
