"""Calibration faces: the images on which the ranges of activations are measured."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edge_fer.compress.calibration_list import read_list
from edge_fer.compress.distilled import IMAGES, distil_images
from edge_fer.data.augment import Augmentation, augment
from edge_fer.data.spec import read_faces
from edge_fer.errors import DataError
from edge_fer.preprocess import PIXEL_OFFSET, PIXEL_SCALE, Preprocessing, fit_all, normalise
from edge_fer.resources import find_resource
from edge_fer.runtime.faces.detectors import Detector, open_detector
from edge_fer.runtime.sources.images import list_images, read_image

PHOTOS, DISTILLED, LISTED = "photos", "distilled", "fer2013"


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Calibration faces and where they come from.

    Attributes:
        images: uint8 ``[N, H, W]`` or ``[N, H, W, 3]``. The first holds a black and a white pixel,
            so that the input's range is always the full one and its scale exactly 1/128.
        source: For the manifest: ``data`` and, where rows are from a committed list, ``list`` and
            ``list_sha256``.
    """

    images: np.ndarray
    source: dict[str, Any] = field(default_factory=dict)


def calibrate(
    spec: str,
    preprocessing: Preprocessing,
    *,
    images: int,
    seed: int,
    network: nn.Module,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Takes calibration faces, or makes them of the network itself.

    Args:
        spec: As ``calibration_faces``, or ``distilled``.
        preprocessing: Of the network.
        images: How many faces; of distilled images there are 64 at most.
        seed: Of the draw.
        network: In evaluation mode.
        on_step: Called after each step of distilling, with steps done and in all.

    Raises:
        DataError: The data cannot be read, or no face was found in the photos.
        ModelError: Images cannot be distilled from this network.
    """
    if spec != DISTILLED:
        return _from_data(spec, preprocessing, images, seed)
    count = min(images, IMAGES)
    made = distil_images(network, preprocessing, seed=seed, images=count, on_step=on_step)
    return Calibration(images=with_full_range(made), source={"data": DISTILLED})


def calibration_faces(
    spec: str, preprocessing: Preprocessing, *, images: int, seed: int
) -> np.ndarray:
    """Draws calibration faces.

    Args:
        spec: ``photos:PATH`` (a photo, or a folder of them: the faces found in them, cropped as the
            camera loop crops them and augmented to the number asked for) or a dataset, of which the
            Training split is drawn from. Of FER2013 the faces of the committed list are taken, as
            long as it has enough of them.
        preprocessing: Of the network.
        images: How many faces.
        seed: Of the draw.

    Returns:
        As ``Calibration.images``.

    Raises:
        DataError: The data cannot be read, or no face was found in the photos.
    """
    return _from_data(spec, preprocessing, images, seed).images


def _from_data(spec: str, preprocessing: Preprocessing, images: int, seed: int) -> Calibration:
    name, _, path = spec.partition(":")
    source: dict[str, Any] = {"data": name}
    if name == PHOTOS:
        faces = _faces_in_photos(Path(path).expanduser(), preprocessing)
        chosen = _augmented(faces, images, seed)
    else:
        data = read_faces(spec, "Training")
        file = find_resource("calibration", LISTED) if name == LISTED else None
        rows = (read_list(file, data) if file else None) or []
        if file and len(rows) >= images:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            source |= {"list": file.name, "list_sha256": digest}
        else:
            rows = np.random.default_rng(seed).permutation(len(data)).tolist()
        chosen = fit_all(data.images_NHW[np.sort(rows[:images])], preprocessing)
    return Calibration(images=with_full_range(chosen), source=source)


def with_full_range(images: np.ndarray) -> np.ndarray:
    """Puts a black and a white pixel into the first of the images, in place."""
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    return images


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
