"""Faces to run a model on: as calibration draws them, but without torch."""

from pathlib import Path

import numpy as np

from edge_fer.data.spec import read_faces
from edge_fer.errors import DataError, ModelError
from edge_fer.preprocess import Preprocessing
from edge_fer.runtime.faces.detectors import open_detector
from edge_fer.runtime.sources.images import list_images, read_image

PHOTOS = "photos"


def faces_for(spec: str, preprocessing: Preprocessing, *, count: int, seed: int = 0) -> np.ndarray:
    """Draws faces.

    Args:
        spec: ``photos:PATH`` or a dataset, ``NAME:PATH``, of which Training is drawn from.
        preprocessing: Of the model.
        count: How many, at most.
        seed: Of the draw.

    Returns:
        uint8 ``[N, H, W]`` or ``[N, H, W, 3]``.

    Raises:
        DataError: The data cannot be read, or there is no face in the photos.
    """
    name, _, path = spec.partition(":")
    if name == PHOTOS:
        return _in_photos(Path(path).expanduser(), preprocessing, count)
    images = read_faces(spec, "Training").images_NHW
    rows = np.sort(np.random.default_rng(seed).permutation(len(images))[:count])
    return np.stack([preprocessing.fit(images[row]) for row in rows])


def preprocessing_of(shape: tuple[int, ...], name: str) -> Preprocessing:
    """Reads off an input's shape what faces it takes.

    Raises:
        ModelError: It is no picture of one or three channels.
    """
    for channels, height, width in (shape[-1:] + shape[1:3], shape[1:4]):
        if len(shape) == 4 and channels in {1, 3} and height > 0 and width > 0:
            color = "gray" if channels == 1 else "rgb"
            return Preprocessing(height_px=height, width_px=width, color=color)
    raise ModelError(f"{name}: its input {list(shape)} is no picture of one or three channels")


def _in_photos(path: Path, preprocessing: Preprocessing, count: int) -> np.ndarray:
    detector = open_detector("auto")
    faces = [
        preprocessing.face_pixels(image, found.box, found.eyes)
        for image in map(read_image, list_images(path))
        for found in detector.detect(image)
    ]
    if not faces:
        raise DataError(f"{path}: no face found")
    return np.stack(faces[:count])
