"""The form that every reader gives a dataset: items that can be read one by one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge_fer.errors import DataError

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
VIDEO_SUFFIXES = {".avi", ".mp4", ".mkv", ".mov", ".wmv"}


@dataclass(frozen=True, slots=True)
class Row:
    """An image inside an array.

    Attributes:
        array: uint8 ``[N, H, W]`` gray or ``[N, H, W, 3]``.
        index: Which.
    """

    array: np.ndarray
    index: int


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip on disk: picture files in order, or one video file, cut to onset .. offset.

    Attributes:
        files: Pictures in temporal order, or a single video.
        onset: First frame, an index into ``files`` (or into the video).
        apex: Frame of the strongest expression, -1 if it is not annotated.
        offset: Last frame, included; -1 means to the end.
    """

    files: tuple[Path, ...]
    onset: int = 0
    apex: int = -1
    offset: int = -1


@dataclass(frozen=True, slots=True)
class Made:
    """A picture that is made out of a clip when it is read.

    Attributes:
        item: The clip.
        make: Makes a uint8 ``[H, W, 3]`` picture out of it.
    """

    item: "Item"
    make: "Callable[[Item], np.ndarray]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One face image or one clip.

    Attributes:
        name: Stable and unique in its dataset: a path relative to its root, or a row number.
        source: Where its pixels are.
        label: Index into the dataset's vocabulary, -1 if it has none.
        subject: Whose face it is, empty if unknown.
        split: The official split, empty if the dataset has none.
        tags: Lists it is on, e.g. ``occlusion`` or ``pose-30``.
        votes: Annotators' votes per class, empty if there are none.
    """

    name: str
    source: Path | Row | Clip | Made
    label: int
    subject: str = ""
    split: str = ""
    tags: tuple[str, ...] = ()
    votes: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset as its reader found it; pixels stay on disk.

    Attributes:
        name: As in a specification, e.g. ``raf-db``.
        label_names: The vocabulary.
        items: Every image or clip that has a place in it.
        problems: A line for each file or row that was left out, and why.
        flow: Whether its images are made of clips, uint8 ``[H, W, 3]`` of one size: optical flow
            (u, v and strain) or a dynamic image (RGB), which networks take as they are.
    """

    name: str
    label_names: tuple[str, ...]
    items: tuple[Item, ...]
    problems: tuple[str, ...] = ()
    flow: bool = False

    def __len__(self) -> int:
        return len(self.items)

    @property
    def splits(self) -> tuple[str, ...]:
        """Official splits, in order of appearance."""
        return tuple(dict.fromkeys(item.split for item in self.items if item.split))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Everyone in it, sorted."""
        return tuple(sorted({item.subject for item in self.items if item.subject}))

    def where(self, keep: Callable[[Item], bool]) -> "Dataset":
        """Returns the items for which ``keep`` is true, as a dataset."""
        return replace(self, items=tuple(item for item in self.items if keep(item)))


def read_pixels(item: Item) -> np.ndarray:
    """Reads one image, upright by its EXIF orientation.

    Returns:
        uint8 gray ``[H, W]``, BGR ``[H, W, 3]``, or ``[H, W, 3]`` of a flow (see ``Dataset.flow``).

    Raises:
        DataError: The file is missing, empty or not an image, or the item is a clip.
    """
    if isinstance(item.source, Row):
        return np.asarray(item.source.array[item.source.index])
    if isinstance(item.source, Made):
        return item.source.make(item.source.item)
    if isinstance(item.source, Clip):
        raise DataError(f"{item.name}: a clip, not an image")
    return read_picture(item.source)


def read_picture(path: Path) -> np.ndarray:
    """Reads a picture of any depth and palette as uint8, gray where it is stored gray.

    Raises:
        DataError: The file is missing, empty or not an image.
    """
    import cv2

    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_ANYCOLOR) if data.size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise DataError(f"{path}: not an image that OpenCV can read")
    return pixels
