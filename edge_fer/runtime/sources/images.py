"""Photos on disk."""

from pathlib import Path

import cv2
import numpy as np

from edge_fer.errors import SourceError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}


def read_image(path: Path) -> np.ndarray:
    """Reads a photo as uint8 BGR ``[H, W, 3]``, turned upright by its EXIF orientation.

    Raises:
        SourceError: The file is missing, empty or not an image.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise SourceError(f"{path}: not an image that OpenCV can read")
    return image


def list_images(path: Path) -> list[Path]:
    """Returns the photo itself, or the photos in a folder, sorted by name.

    Raises:
        SourceError: There is nothing, or no photo in the folder.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"{path}: no such file or folder")
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise SourceError(f"{path}: no photos in this folder ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return files
