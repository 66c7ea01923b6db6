"""New scenes from photos: a part of one, turned and scaled, with faces of others pasted into it.

What is pasted has soft or hard edges, and so have things that are pasted and no faces: an edge
alone says nothing. Everything follows from the generator that is given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from edge_fer.data.scenes import Photo
from edge_fer.data.scenes_degrade import Degradation, degraded
from edge_fer.data.scenes_paste import blended, is_free, pasted
from edge_fer.data.scenes_warp import (
    Move,
    face_sizes_px,
    moved_faces,
    moved_image,
    visible_shares,
)
from edge_fer.preprocess import PIXEL_OFFSET

#: A face of which less is inside the picture is ignored; of which still less is, is not there.
SEEN, HARDLY_SEEN = 0.5, 0.1
#: Smaller faces are ignored, pixels.
LEAST_PX = 9.0
_TRIES = 8
_MOST_ENLARGED = 2.5


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What scenes are made of.

    Attributes:
        scenes: Photos without faces.
        photos: Photos whose faces all have boxes.
        portraits: Photos whose first face is pasted, with what is around it.
        crops: Face crops that are pasted, of low resolution.
    """

    scenes: Sequence[Photo]
    photos: Sequence[Photo]
    portraits: Sequence[Photo]
    crops: Sequence[Photo]


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """How often what comes.

    Attributes:
        photo: Share of scenes that start from ``Pool.photos``; the others start from
            ``Pool.scenes``.
        empty: Share of the latter that get no face.
        zoom: Most that these are enlarged beyond filling the picture, as a logarithm.
        most_faces: Pasted into one scene.
        portrait: Share of portraits in what is pasted; the others are crops.
        distractors: Share of scenes into which something else is pasted.
        turn_deg: Standard deviation of a pasted face's angle, at most 45.
        border: Share of scenes whose lower or right part is blank, as a letterbox leaves it.
        degradation: What happens to the picture at the end.
    """

    photo: float = 0.5
    empty: float = 0.3
    zoom: float = 1.2
    most_faces: int = 5
    portrait: float = 0.6
    distractors: float = 0.5
    turn_deg: float = 18.0
    border: float = 0.3
    degradation: Degradation = field(default_factory=Degradation)


def composed(
    pool: Pool, size: tuple[int, int], rng: np.random.Generator, mixture: Mixture
) -> Photo:
    """Makes a scene.

    Args:
        pool: What of.
        size: Width and height, pixels.
        rng: Decides everything.
        mixture: How often what comes.
    """
    from_photo = rng.random() < mixture.photo
    base = _drawn(pool.photos if from_photo else pool.scenes, rng)
    scene = _view_of_faces(base, size, rng) if from_photo else _view(base, size, rng, mixture.zoom)
    if rng.random() < mixture.distractors:
        scene = replace(scene, image_HW=_distracted(scene, pool, rng))
    count = 0 if from_photo and rng.random() < 0.7 else _count(rng, mixture)
    for _ in range(count):
        scene = _with_face(scene, pool, rng, mixture)
    image_HW = degraded(scene.image_HW, rng, mixture.degradation)
    if rng.random() < mixture.border:
        image_HW, size = _bordered(image_HW, rng)
    return seen(replace(scene, image_HW=image_HW), size)


def seen(scene: Photo, size: tuple[int, int]) -> Photo:
    """Sorts out faces that are too small, or too far outside of a picture of this size."""
    shares_N = visible_shares(scene.boxes_N4, *size)
    is_face_N = (shares_N >= SEEN) & (face_sizes_px(scene.boxes_N4) >= LEAST_PX)
    doubtful_N = ~is_face_N & (shares_N > HARDLY_SEEN)
    ignored_N = visible_shares(scene.ignored_N4, *size) > 0
    ignored_N4 = np.concatenate([scene.ignored_N4[ignored_N], scene.boxes_N4[doubtful_N]])
    return replace(
        scene,
        boxes_N4=scene.boxes_N4[is_face_N],
        points_N52=scene.points_N52[is_face_N],
        ignored_N4=ignored_N4,
    )


def _drawn(photos: Sequence[Photo], rng: np.random.Generator) -> Photo:
    return photos[int(rng.integers(len(photos)))]


def _count(rng: np.random.Generator, mixture: Mixture) -> int:
    return 0 if rng.random() < mixture.empty else int(rng.integers(1, mixture.most_faces + 1))


def _view(photo: Photo, size: tuple[int, int], rng: np.random.Generator, zoom: float) -> Photo:
    """A part of a photo without faces; where it does not reach, its mirror image."""
    height, width = photo.image_HW.shape
    least = max(size[0] / width, size[1] / height)
    move = Move(
        source=(rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height),
        target=(size[0] / 2, size[1] / 2),
        scale=least * math.exp(rng.uniform(-0.2, zoom)),
        angle_deg=float(rng.normal(0, 6)),
        mirrored=bool(rng.random() < 0.5),
    )
    image_HW = moved_image(photo.image_HW, move, size, border=cv2.BORDER_REFLECT_101)
    return moved_faces(photo, move, image_HW)


def _view_of_faces(photo: Photo, size: tuple[int, int], rng: np.random.Generator) -> Photo:
    """A part of a photo in which one of its faces has a size drawn by lot; at most all of it."""
    height, width = photo.image_HW.shape
    whole = min(size[0] / width, size[1] / height)
    scale, x, y = whole * math.exp(rng.uniform(0, 0.7)), width / 2, height / 2
    if len(photo.boxes_N4):
        x, y, w, h = photo.boxes_N4[int(rng.integers(len(photo.boxes_N4)))]
        x, y, scale = x + w / 2, y + h / 2, _size(rng, size) / math.sqrt(w * h)
    scale = float(np.clip(scale, whole, _MOST_ENLARGED * max(1, whole)))
    move = Move(
        source=(x, y),
        target=(
            _kept_inside(rng.uniform(0, size[0]), x * scale, width * scale, size[0]),
            _kept_inside(rng.uniform(0, size[1]), y * scale, height * scale, size[1]),
        ),
        scale=scale,
        angle_deg=float(rng.normal(0, 8)),
        mirrored=bool(rng.random() < 0.5),
    )
    fill = rng.uniform(0, 255)
    image_HW = moved_image(photo.image_HW, move, size, border=cv2.BORDER_CONSTANT, fill=fill)
    return moved_faces(photo, move, image_HW)


def _kept_inside(target: float, before: float, length: float, room: float) -> float:
    """Moves a target until what has that length covers the room, or lies within it."""
    start, end = sorted((0.0, room - length))
    return float(np.clip(target - before, start, end)) + before


def _size(rng: np.random.Generator, size: tuple[int, int], largest_px: float = math.inf) -> float:
    """Draws a face's size, pixels, every octave alike."""
    largest_px = min(largest_px, 1.15 * size[1])
    return LEAST_PX * math.exp(rng.uniform(0.1, math.log(largest_px / LEAST_PX)))


def _with_face(scene: Photo, pool: Pool, rng: np.random.Generator, mixture: Mixture) -> Photo:
    height, width = scene.image_HW.shape
    is_portrait = rng.random() < mixture.portrait
    face = _drawn(pool.portraits if is_portrait else pool.crops, rng)
    own_px = float(face_sizes_px(face.boxes_N4[:1])[0])
    wanted_px = _size(rng, (width, height), 2.2 * own_px)
    x, y, w, h = face.boxes_N4[0]
    for _ in range(_TRIES):
        move = Move(
            source=(x + w / 2, y + h / 2),
            target=(rng.uniform(-0.05, 1.05) * width, rng.uniform(-0.05, 1.05) * height),
            scale=wanted_px / own_px,
            angle_deg=float(np.clip(rng.normal(0, mixture.turn_deg), -45, 45)),
            mirrored=bool(rng.random() < 0.5),
        )
        reach = float(rng.choice([1.0, 1.25, 1.6, 2.2]) * rng.uniform(0.95, 1.15))
        if is_free(scene, move, (w, h), reach):
            return pasted(scene, face, move, rng, reach)
    return scene


def _distracted(scene: Photo, pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """Pastes parts of photos without faces, as faces are pasted."""
    image_HW = scene.image_HW
    height, width = image_HW.shape
    for _ in range(int(rng.integers(1, 4))):
        source_HW = _drawn(pool.scenes, rng).image_HW
        side = rng.uniform(0.15, 0.5) * min(source_HW.shape)
        box_4 = np.array(
            [*(rng.uniform(0, 1, 2) * (np.array(source_HW.shape[::-1]) - side)), side, 1.25 * side]
        )
        move = Move(
            source=tuple(box_4[:2] + box_4[2:] / 2),
            target=(rng.uniform(0, width), rng.uniform(0, height)),
            scale=_size(rng, (width, height)) / side,
            angle_deg=float(rng.normal(0, 20)),
        )
        if is_free(scene, move, (side, 1.25 * side), 1.0):
            image_HW = blended(image_HW, source_HW, box_4, move, rng, 1.0)
    return image_HW


def _bordered(image_HW: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, tuple[int, int]]:
    """Blanks the lower part, or the right one, as a letterbox does; returns the size left."""
    height, width = image_HW.shape
    kind = rng.random()
    if kind < 0.6:
        height -= height // 16
    elif kind < 0.8:
        height = round(height * rng.uniform(0.55, 0.95))
    else:
        width = round(width * rng.uniform(0.4, 0.95))
    image_HW = image_HW.copy()
    image_HW[height:] = PIXEL_OFFSET
    image_HW[:, width:] = PIXEL_OFFSET
    return image_HW, (width, height)
