"""How good detectors are on held-out pictures, all at the same input size.

Three sets of the test part:

* ``scenes``: faces pasted into photos without, of both none in another part; boxes are
  YuNet's on the enlarged original, so that faces which it never finds are not in it.
* ``photos``: everyday photos with boxes drawn by hand, moved to where YuNet draws them on average;
  boxes under 16 pixels in the photo are ignored. Copies of photos to train on are left out.
* ``faceless``: photos without a face: YuNet sees none in them, or does and we do not.

And scenes with one condition of light each. Sizes are square roots of a box's area in the picture.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_fer.data.scenes import SETS, Photo, read_scenes
from edge_fer.data.scenes_compose import Mixture, Pool, composed
from edge_fer.data.scenes_degrade import ONLY
from edge_fer.data.scenes_teacher import hand_drawn
from edge_fer.detect.finders import Finder
from edge_fer.detect.metrics import Judged, judge
from edge_fer.detect.pictures import fitted
from edge_fer.detect.pool import parse_detect_spec, read_pool
from edge_fer.evaluate.metrics import wilson_interval
from edge_fer.runtime.faces.decode import Faces

#: Of the tables: size in pixels, roll in degrees.
SIZES_PX = ((12, 20), (20, 40), (40, 80), (80, math.inf))
ROLLS_DEG = ((0, 10), (10, 25), (25, 46))
LEAST_PX = 20.0
FALSE_PER_PICTURE = 0.1
_SEED = 2**33
#: Photos of which one is a copy of the other, if changed a little.
_ALIKE, _THUMBNAIL_PX = 0.9, (24, 24)

#: Called with what is being done, done so far and of how many.
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What detectors are judged on, at one input size.

    Attributes:
        scenes: Composed, with everything that training has.
        photos: Boxes drawn by hand.
        faceless: No faces.
        lights: Composed, one condition each.
    """

    scenes: Sequence[Photo]
    photos: Sequence[Photo]
    faceless: Sequence[Photo]
    lights: Mapping[str, Sequence[Photo]]


def read_pictures(
    spec: str, teacher: Path, size: tuple[int, int], count: int, report: Report = lambda *_: None
) -> Pictures:
    """Reads and composes the pictures of the test part; always the same.

    Args:
        spec: As ``edge_fer.detect.pool`` has it.
        teacher: YuNet's model file.
        size: Width and height of the input, pixels.
        count: Scenes to compose; a third of it for each condition of light.
        report: Hears of the progress.

    Raises:
        EdgeFerError: Data or teacher cannot be used.
    """
    pool = read_pool(spec, "test", teacher, report)
    by_hand = _by_hand(parse_detect_spec(spec)[0])
    plain = {name: Mixture(photo=0.0, degradation=only) for name, only in ONLY.items()}
    return Pictures(
        scenes=_composed(pool, size, count, Mixture(photo=0.0)),
        photos=[fitted(hand_drawn(photo), size) for photo in by_hand],
        faceless=[fitted(photo, size) for photo in pool.scenes],
        lights={name: _composed(pool, size, count // 3, mix) for name, mix in plain.items()},
    )


def evaluate(
    finder: Finder, pictures: Pictures, min_score: float, report: Callable[[str], None]
) -> dict[str, Any]:
    """Judges a detector.

    Args:
        finder: The detector.
        pictures: Of one input size.
        min_score: Weakest face that counts in use.
        report: Called with the name of each set before it is looked at.

    Returns:
        Fractions. ``scenes`` and ``photos``, of faces from 20 pixels: ``ap``; ``recall`` at 0.1
        false faces per picture (``recall_ci95`` as if faces were independent); and, in use,
        ``recall_in_use`` and ``false_per_picture_in_use``. Of scenes: ``ap_by_size``,
        ``ap_by_roll``, ``ap_by_light``, and ``point_error``, the median distance of a found face's
        points in sizes of the face. ``false_per_1000``: faces in use per 1,000 faceless photos,
        of which there are ``faceless``.
    """

    def find(name: str, photos: Sequence[Photo]) -> list[Faces]:
        report(name)
        return [finder(photo.image_HW) for photo in photos]

    scenes, photos = pictures.scenes, pictures.photos
    found = find("scenes", scenes)
    on_photos = find("photos", photos)
    faceless = find("faceless", pictures.faceless)
    false = sum(int((faces.scores_N >= min_score).sum()) for faces in faceless)
    large = (LEAST_PX, math.inf)
    return {
        "scenes": _figures(judge(found, scenes, sizes_px=large), min_score),
        "photos": _figures(judge(on_photos, photos, sizes_px=large), min_score),
        "ap_by_size": {
            _named(sizes): judge(found, scenes, sizes_px=sizes).average_precision
            for sizes in SIZES_PX
        },
        "ap_by_roll": {
            _named(rolls): judge(
                found, scenes, sizes_px=large, asked=_rolled(rolls)
            ).average_precision
            for rolls in ROLLS_DEG
        },
        "ap_by_light": {
            name: judge(find(name, some), some, sizes_px=large).average_precision
            for name, some in pictures.lights.items()
        },
        "faceless": len(faceless),
        "false_per_1000": 1000 * false / len(faceless),
        "point_error": point_error(found, scenes),
    }


def point_error(found: Sequence[Faces], truths: Sequence[Photo]) -> float | None:
    """Median distance of five points from the true ones, over faces found, in sizes of the face.

    None from a detector without points.
    """
    errors = []
    for faces, truth in zip(found, truths, strict=True):
        for box_4, points_52 in zip(truth.boxes_N4, truth.points_N52, strict=True):
            size_px = math.sqrt(box_4[2] * box_4[3])
            if size_px >= LEAST_PX and len(faces.scores_N):
                distances_N5 = np.linalg.norm(faces.points_N52 - points_52, axis=2)
                errors.append(distances_N5.mean(1).min() / size_px)
    known = [error for error in errors if error < 0.5]
    return float(np.median(known)) if known else None


def _by_hand(folder: Path) -> list[Photo]:
    """Photos of the test part with boxes drawn by hand, but for those that training has too."""
    test, train = read_scenes(folder, "test"), read_scenes(folder, "train")
    return [
        photo
        for name in test
        if SETS[name].kind == "boxes"
        for photo in without_repeats(test[name], train[name])
    ]


def without_repeats(photos: Sequence[Photo], others: Sequence[Photo]) -> list[Photo]:
    """Leaves out photos that look like one of the others: correlation of their thumbnails."""
    if not photos or not others:
        return list(photos)
    alike_NM = _thumbnails(photos) @ _thumbnails(others).T
    return [
        photo for photo, alike_M in zip(photos, alike_NM, strict=True) if alike_M.max() < _ALIKE
    ]


def _thumbnails(photos: Sequence[Photo]) -> np.ndarray:
    """Small pictures as vectors of mean 0 and length 1, ``[N, pixels]``."""
    small = [cv2.resize(p.image_HW, _THUMBNAIL_PX, interpolation=cv2.INTER_AREA) for p in photos]
    flat_NP = np.stack(small).reshape(len(photos), -1).astype(np.float64)
    flat_NP -= flat_NP.mean(1, keepdims=True)
    return np.asarray(flat_NP / np.maximum(np.linalg.norm(flat_NP, axis=1, keepdims=True), 1e-9))


def _figures(judged: Judged, min_score: float) -> dict[str, Any]:
    in_use_N = judged.scores_N >= min_score
    recall = judged.recall_at(FALSE_PER_PICTURE)
    return {
        "faces": judged.faces,
        "pictures": judged.pictures,
        "ap": judged.average_precision,
        "recall": recall,
        "recall_ci95": wilson_interval(round(recall * judged.faces), judged.faces),
        "recall_in_use": float(judged.right_N[in_use_N].sum() / max(1, judged.faces)),
        "false_per_picture_in_use": float((~judged.right_N[in_use_N]).sum() / judged.pictures),
    }


def _composed(pool: Pool, size: tuple[int, int], count: int, mixture: Mixture) -> list[Photo]:
    rngs = [np.random.default_rng((_SEED, index)) for index in range(count)]
    return [composed(pool, size, rng, mixture) for rng in rngs]


def _rolled(rolls_deg: tuple[float, float]) -> Callable[[Photo], np.ndarray]:
    """Says which faces' eyes are on a line with such an angle; none whose eyes are unknown."""

    def asked(photo: Photo) -> np.ndarray:
        across_N2 = photo.points_N52[:, 1] - photo.points_N52[:, 0]
        angles_N = np.degrees(np.arctan2(np.abs(across_N2[:, 1]), across_N2[:, 0]))
        return np.asarray((angles_N >= rolls_deg[0]) & (angles_N < rolls_deg[1]))

    return asked


def _named(span: tuple[float, float]) -> str:
    return f"{span[0]}-{span[1]}" if math.isfinite(span[1]) else f">{span[0]}"
