"""From a data specification to what a detector learns from.

``detect:FOLDER`` names photos (``edge_fer.data.scenes``); ``detect:FOLDER,fer2013:FILE`` adds the
crops of a dataset of faces, to be pasted into scenes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from edge_fer.data.scenes import SETS, Photo, read_scenes
from edge_fer.data.scenes_compose import Pool
from edge_fer.data.scenes_teacher import SURE, find_all, taught
from edge_fer.data.scenes_warp import (
    Move,
    face_sizes_px,
    moved_boxes,
    moved_faces,
    visible_shares,
)
from edge_fer.data.spec import read_faces
from edge_fer.errors import DataError

#: What a data specification starts with.
SPEC = "detect"
#: A crop is shown to the teacher at this side, with its border repeated around it.
_SHOWN_PX, _AROUND_PX = 120, 20

#: Of a row's pairs: the box's corner and the points, but not the box's size.
_IS_PLACE = np.array([1, 0, 1, 1, 1, 1, 1])[:, np.newaxis]
#: Faces of at least this size are cut out of photos, with so much of their box around it.
_CUT_PX, _CUT_MARGIN = 24.0, 0.3
#: Names that ``read_faces`` knows in any dataset.
_SPLITS = {"train": "Training", "validation": "PublicTest", "test": "PrivateTest"}

#: Called with the name of a set, the number of its pictures done and of all.
Report = Callable[[str, int, int], None]


def read_pool(spec: str, part: str, teacher: Path, report: Report = lambda *_: None) -> Pool:
    """Reads one part of the data, with boxes and points as the teacher has them.

    Args:
        spec: As above.
        part: ``train``, ``validation`` or ``test``.
        teacher: YuNet's model file.
        report: Hears of the progress.

    Raises:
        DataError: The specification or the data cannot be used, or a kind of photo is missing.
        ModelError: The teacher cannot be used.
    """
    folder, crops_spec = parse_detect_spec(spec)
    photos: dict[str, list[Photo]] = {"boxes": [], "portraits": [], "scenes": []}
    for name, found in read_scenes(folder, part).items():
        photos[SETS[name].kind] += taught(found, teacher, _naming(name, report))
    for kind, found in photos.items():
        if not found:
            raise DataError(f"{folder}: no photos of the kind {kind!r} in {part}")
    crops = read_crops(crops_spec, part, teacher, report) if crops_spec else photos["portraits"]
    rooms = [photo for photo in photos["portraits"] if photo.name.startswith("caltech")]
    return Pool(
        scenes=photos["scenes"],
        photos=photos["boxes"] + rooms,
        portraits=photos["portraits"] + cut_out(photos["boxes"]),
        crops=crops,
    )


def cut_out(photos: Sequence[Photo]) -> list[Photo]:
    """Returns the larger faces of photos, each in a photo of its own that has no other."""
    faces = []
    for photo in photos:
        others_N4 = np.concatenate([photo.boxes_N4, photo.ignored_N4])
        for index in np.flatnonzero(face_sizes_px(photo.boxes_N4) >= _CUT_PX):
            x, y, w, h = photo.boxes_N4[index]
            left, top = max(0, int(x - _CUT_MARGIN * w)), max(0, int(y - _CUT_MARGIN * h))
            right, bottom = int(x + w * (1 + _CUT_MARGIN)), int(y + h * (1 + _CUT_MARGIN))
            corner = Move(source=(left, top), target=(0, 0), scale=1)
            shares_N = visible_shares(moved_boxes(others_N4, corner), right - left, bottom - top)
            if (shares_N > 0).sum() == 1:
                image_HW = photo.image_HW[top:bottom, left:right]
                alone = slice(index, index + 1)
                one = replace(
                    photo,
                    boxes_N4=photo.boxes_N4[alone],
                    points_N52=photo.points_N52[alone],
                    ignored_N4=photo.ignored_N4[:0],
                )
                faces.append(moved_faces(one, corner, image_HW))
    return faces


def parse_detect_spec(spec: str) -> tuple[Path, str]:
    """Returns the folder of photos and the specification of crops, empty if there is none.

    Raises:
        DataError: It does not start with ``detect:``.
    """
    photos, _, crops = spec.partition(",")
    name, _, folder = photos.partition(":")
    if name != SPEC or not folder:
        raise DataError(f"{spec!r} is not detect:FOLDER, or detect:FOLDER,fer2013:FILE with crops")
    return Path(folder).expanduser(), crops


def read_crops(spec: str, part: str, teacher: Path, report: Report) -> list[Photo]:
    """Reads a dataset's face crops; those in which the teacher sees no face are left out."""
    faces = read_faces(spec, _SPLITS[part])
    around = [_surrounded(image) for image in faces.images_NHW]
    rows = find_all(around, teacher, _naming(spec, report), (around[0].shape[1],))
    crops = zip(faces.names, faces.images_NHW, rows, strict=True)
    return [_crop(*crop) for crop in crops if len(crop[2]) and crop[2][0, -1] >= SURE]


def _surrounded(image_HW: np.ndarray) -> np.ndarray:
    large_HW = cv2.resize(image_HW, (_SHOWN_PX, _SHOWN_PX), interpolation=cv2.INTER_CUBIC)
    border = cv2.BORDER_REPLICATE
    return cv2.copyMakeBorder(large_HW, _AROUND_PX, _AROUND_PX, _AROUND_PX, _AROUND_PX, border)


def _crop(name: str, image_HW: np.ndarray, rows: np.ndarray) -> Photo:
    scale = image_HW.shape[0] / _SHOWN_PX
    corners = (rows[0, :14].reshape(7, 2).astype(float) - _AROUND_PX * _IS_PLACE) * scale
    return Photo(
        name=name,
        image_HW=image_HW,
        boxes_N4=corners[:2].reshape(1, 4),
        points_N52=corners[np.newaxis, 2:],
    )


def _naming(name: str, report: Report) -> Callable[[int, int], None]:
    return lambda done, count: report(name, done, count)
