"""The same pictures for everyone: raw files of 48x48 gray faces and 640x480 BGR frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edge_fer.errors import DataError
from edge_fer.evaluate.labelled import Labelled, Selection, read_selection
from edge_fer.runtime.sources.images import read_image
from edge_fer.runtime.sources.opening import open_source

WIDTH_PX, HEIGHT_PX = 640, 480
FACE_SHAPE = (48, 48)
PHOTO_FRAMES = 10


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A file of raw pictures.

    Attributes:
        file: Where.
        count: How many.
    """

    file: Path
    count: int

    def chunk(self, first: int, count: int) -> list[int]:
        """Returns ``count`` indices from ``first`` on, beginning anew at the end."""
        return [(first + i) % self.count for i in range(count)]


def write_pictures(file: Path, pictures_N: Sequence[np.ndarray] | np.ndarray) -> Pictures:
    """Writes uint8 pictures of one shape one after the other."""
    with file.open("wb") as stream:
        for picture in pictures_N:
            stream.write(np.ascontiguousarray(picture, np.uint8).tobytes())
    return Pictures(file=file, count=len(pictures_N))


def read_labelled_faces(spec: str, split: str) -> Labelled:
    """Reads a split of 48x48 gray faces.

    Raises:
        DataError: It cannot be read, or its faces have another size.
    """
    labelled = read_selection(Selection(data=spec, split=split))
    if labelled.faces.images_NHW.shape[1:] != FACE_SHAPE:
        raise DataError(f"{labelled.faces.source}: peers get gray faces of 48x48 pixels")
    return labelled


def read_frames(clips: Sequence[Path], photos: Sequence[Path], count: int) -> list[np.ndarray]:
    """Returns about ``count`` frames: each photo held for a while, then each clip's beginning.

    Raises:
        EdgeFerError: A file cannot be read.
    """
    frames = [letterbox(read_image(photo)) for photo in photos for _ in range(PHOTO_FRAMES)]
    for clip in clips:
        share = max(1, (count - PHOTO_FRAMES * len(photos)) // len(clips))
        with open_source(str(clip)) as source:
            frames += [letterbox(frame.image) for frame in islice(source, share)]
    return frames


def letterbox(image: np.ndarray) -> np.ndarray:
    """Fits a BGR picture into 640x480 with black bars."""
    height, width = image.shape[:2]
    scale = min(WIDTH_PX / width, HEIGHT_PX / height)
    size = round(width * scale), round(height * scale)
    left, top = (WIDTH_PX - size[0]) // 2, (HEIGHT_PX - size[1]) // 2
    canvas = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(image, size)
    return canvas
