"""Calibration faces: the images on which the ranges of activations are measured."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edge_fer.data.augment import Augmentation, augment
from edge_fer.data.spec import read_faces
from edge_fer.errors import DataError
from edge_fer.preprocess import PIXEL_OFFSET, PIXEL_SCALE, Preprocessing, fit_all, normalise
from edge_fer.runtime.detectors import Detector, open_detector
from edge_fer.runtime.images import list_images, read_image

PHOTOS = "photos"


def calibration_faces(
    spec: str, preprocessing: Preprocessing, *, images: int, seed: int
) -> np.ndarray:
    """Draws calibration faces.

    Args:
        spec: ``photos:PATH`` (a photo, or a folder of them: the faces found in them, cropped as the
            camera loop crops them and augmented to the number asked for) or a dataset, of which the
            Training split is drawn from.
        preprocessing: Of the network.
        images: How many faces.
        seed: Of the draw.

    Returns:
        uint8 ``[N, H, W]`` or ``[N, H, W, 3]``. The first holds a black and a white pixel, so
        that the input's range is always the full one and its scale exactly 1/128.

    Raises:
        DataError: The data cannot be read, or no face was found in the photos.
    """
    name, _, path = spec.partition(":")
    if name == PHOTOS:
        faces = _faces_in_photos(Path(path).expanduser(), preprocessing)
        chosen = _augmented(faces, images, seed)
    else:
        data = read_faces(spec, "Training")
        rows = np.random.default_rng(seed).permutation(len(data))[:images]
        chosen = fit_all(data.images_NHW[np.sort(rows)], preprocessing)
    chosen[0, 0, 0], chosen[0, 0, 1] = 0, 255
    return chosen


def _faces_in_photos(path: Path, preprocessing: Preprocessing) -> list[np.ndarray]:
    detector = open_detector("auto")
    faces = [
        face for file in list_images(path) for face in _faces_in(file, detector, preprocessing)
    ]
    if not faces:
        raise DataError(f"{path}: no face found to calibrate on")
    return faces


def _faces_in(file: Path, detector: Detector, preprocessing: Preprocessing) -> Iterator[np.ndarray]:
    image = read_image(file)
    for detection in detector.detect(image):
        yield preprocessing.face_pixels(image, detection.box, detection.eyes)


def _augmented(faces: list[np.ndarray], images: int, seed: int) -> np.ndarray:
    """The faces themselves, then changed copies of them, ``images`` in all."""
    repeats = np.stack([faces[i % len(faces)] for i in range(images)])
    x = torch.from_numpy(normalise(repeats))
    x_NCHW = x.unsqueeze(1) if x.ndim == 3 else x.permute(0, 3, 1, 2)
    wide = replace(Augmentation(), contrast=0.4, brightness=0.2)
    x_NCHW = augment(x_NCHW, wide, torch.Generator().manual_seed(seed))
    pixels_NCHW = (x_NCHW / PIXEL_SCALE + PIXEL_OFFSET).round().clamp(0, 255).to(torch.uint8)
    changed = pixels_NCHW.permute(0, 2, 3, 1).reshape(repeats.shape).numpy()
    changed[: len(faces)] = repeats[: len(faces)]
    return changed
