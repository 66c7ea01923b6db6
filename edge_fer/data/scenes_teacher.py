"""YuNet as a teacher: boxes where a set's are rough, and the five points.

All boxes end up as YuNet draws them, from the forehead to the chin, because that is what faces are
cut out by later. What the teacher finds is kept in the cache (see ``edge_fer.data.cache``).
"""

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_fer.data.cache import cache_folder
from edge_fer.data.scenes import SETS, Photo
from edge_fer.errors import OutputError
from edge_fer.files import write_atomic
from edge_fer.runtime.faces.decode import overlaps
from edge_fer.runtime.faces.decode import suppress as best_of
from edge_fer.runtime.faces.detectors import YuNetDetector

#: Every photo is shown at these sizes (longest side).
SHOWN_PX = (320, 640)
WEAKEST, SURE = 0.3, 0.6
#: Of intersection over union with a set's box, above which it is the same face.
SAME_FACE = 0.35
#: A box that the hand drew, as YuNet would: shift of the centre and size, in widths and heights.
#: Medians over the faces of facemask853's train part that YuNet finds.
HAND_SHIFT, HAND_SIZE = (-0.02, -0.13), (0.95, 1.12)
#: Hand-drawn boxes with a shorter side are ignored: some of these faces have none.
LEAST_PX = 16
_ROW = 15

#: Found faces of one picture, float32 ``[N, 15]``: box, points, score.
Rows = np.ndarray
Report = Callable[[int, int], None]


def taught(
    photos: Sequence[Photo], teacher: Path, on_progress: Report | None = None
) -> list[Photo]:
    """Returns photos with boxes and points as YuNet has them.

    * Hand-drawn boxes become YuNet's where it finds the face, else are moved to where it draws
      them. What it finds elsewhere is ignored.
    * Of a portrait the face is the one that fits the rough box; a portrait without is left out.
    * A scene with a face in it is left out, but for those that are known to have none.

    Args:
        photos: Of one set.
        teacher: YuNet's model file.
        on_progress: Called with the number of photos done and of all.

    Raises:
        ModelError: The model cannot be used.
    """
    rows = find_all([photo.image_HW for photo in photos], teacher, on_progress)
    correct = {"boxes": _with_boxes, "portraits": _portrait, "scenes": _scene}
    pairs = zip(photos, rows, strict=True)
    corrected = (correct[SETS[p.name.partition("/")[0]].kind](p, found) for p, found in pairs)
    return [photo for photo in corrected if photo is not None]


def hand_drawn(photo: Photo) -> Photo:
    """Returns a photo with hand-drawn boxes where YuNet would draw them, but without asking it."""
    return _with_boxes(photo, np.empty((0, _ROW), np.float32))


def find_all(
    images: Sequence[np.ndarray],
    teacher: Path,
    on_progress: Report | None = None,
    shown_px: tuple[int, ...] = SHOWN_PX,
) -> list[Rows]:
    """Finds faces in pictures of any size, from the cache where it has been done before.

    Args:
        images: uint8 ``[H, W]``.
        teacher: YuNet's model file.
        on_progress: As in ``taught``.
        shown_px: Longest sides at which each is shown.

    Raises:
        ModelError: The model cannot be used.
    """
    detectors = [YuNetDetector(teacher, side_px, WEAKEST) for side_px in shown_px]
    digest = hashlib.sha256(teacher.read_bytes() + repr(shown_px).encode())
    for image in images:
        digest.update(image.tobytes())
    entry = cache_folder() / f"faces-{digest.hexdigest()[:16]}.npz"
    with (
        suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile),
        np.load(entry, allow_pickle=False) as stored,
    ):
        return np.split(stored["rows"], np.cumsum(stored["counts"])[:-1])
    found = []
    for done, image in enumerate(images, 1):
        found.append(_find(image, detectors))
        if on_progress:
            on_progress(done, len(images))
    counts = np.array([len(rows) for rows in found])
    with suppress(OutputError):
        write_atomic(entry, lambda path: np.savez(path, rows=np.concatenate(found), counts=counts))
    return found


def _find(image: np.ndarray, detectors: Sequence[YuNetDetector]) -> Rows:
    faces = [face for detector in detectors for face in detector.detect(image)]
    flat = [(*face.box, *np.ravel(face.landmarks or ()), face.score) for face in faces]
    rows = np.array(flat, np.float32).reshape(-1, _ROW)
    rows = rows[np.argsort(-rows[:, -1], kind="stable")]
    return np.asarray(rows[best_of(rows[:, :4], SAME_FACE)])


def _with_boxes(photo: Photo, rows: Rows) -> Photo:
    boxes, points, ignored = [], [], []
    free = np.ones(len(rows), bool)
    for box in photo.boxes_N4:
        best = _best(box, rows, free)
        if best is not None:
            free[best] = False
        if min(box[2:]) < LEAST_PX:
            ignored.append(_as_yunet(box))
        elif best is not None:
            boxes.append(rows[best, :4])
            points.append(rows[best, 4:14].reshape(5, 2))
        else:
            boxes.append(_as_yunet(box))
            points.append(np.full((5, 2), np.nan))
    ignored += list(rows[free, :4])
    return _filled(photo, boxes, points, ignored)


def _portrait(photo: Photo, rows: Rows) -> Photo | None:
    best = _best(photo.boxes_N4[0], rows, rows[:, -1] >= SURE, least=0.15)
    if best is None:
        return None
    others = np.arange(len(rows)) != best
    sure = others & (rows[:, -1] >= SURE)
    boxes = [rows[best, :4], *rows[sure, :4]]
    points = [rows[best, 4:14], *rows[sure, 4:14]]
    return _filled(photo, boxes, points, list(rows[others & ~sure, :4]))


def _scene(photo: Photo, rows: Rows) -> Photo | None:
    folder, _, file = photo.name.partition("/")
    certain = Path(file).stem in SETS[folder].faceless
    return photo if certain or (rows[:, -1] < SURE).all() else None


def _best(box: np.ndarray, rows: Rows, allowed: np.ndarray, least: float = SAME_FACE) -> int | None:
    if not allowed.any():
        return None
    shared = np.where(allowed, overlaps(box, rows[:, :4]), -1)
    return int(shared.argmax()) if shared.max() > least else None


def _as_yunet(box: np.ndarray) -> np.ndarray:
    centre = box[:2] + box[2:] * (0.5 + np.array(HAND_SHIFT))
    size = box[2:] * np.array(HAND_SIZE)
    return np.concatenate([centre - size / 2, size])


def _filled(
    photo: Photo,
    boxes: Sequence[np.ndarray],
    points: Sequence[np.ndarray],
    ignored: Sequence[np.ndarray],
) -> Photo:
    return replace(
        photo,
        boxes_N4=np.array(boxes, float).reshape(-1, 4),
        points_N52=np.array(points, float).reshape(-1, 5, 2),
        ignored_N4=np.array(ignored, float).reshape(-1, 4),
    )
