"""Pasting a part of one picture into another."""

import math
from dataclasses import replace

import cv2
import numpy as np

from edge_fer.data.scenes import Photo
from edge_fer.data.scenes_warp import (
    Move,
    moved_faces,
    moved_image,
    moved_points,
    visible_shares,
)

#: Share of a face's box, or of what is pasted, that may be hidden.
_HIDDEN = 0.1


def pasted(scene: Photo, face: Photo, move: Move, rng: np.random.Generator, reach: float) -> Photo:
    """Puts the first face of a photo into a scene.

    Args:
        scene: Into which.
        face: Whose.
        move: Where to.
        rng: Decides on the edge and on the light.
        reach: Half sides of what is taken along, in half sides of the face's box; the photo's
            border limits it.
    """
    alone = replace(
        face, boxes_N4=face.boxes_N4[:1], points_N52=face.points_N52[:1],
        ignored_N4=np.empty((0, 4)),
    )  # fmt: skip
    image_HW = blended(scene.image_HW, face.image_HW, face.boxes_N4[0], move, rng, reach)
    new = moved_faces(alone, move, image_HW)
    return replace(
        scene,
        image_HW=image_HW,
        boxes_N4=np.concatenate([scene.boxes_N4, new.boxes_N4]),
        points_N52=np.concatenate([scene.points_N52, new.points_N52]),
    )


def blended(
    canvas_HW: np.ndarray,
    image_HW: np.ndarray,
    box_4: np.ndarray,
    move: Move,
    rng: np.random.Generator,
    reach: float,
) -> np.ndarray:
    """Returns a picture with a part of another in it, round or square, soft or hard at the edge.

    Args:
        canvas_HW: uint8, what it is put into.
        image_HW: uint8, where it is taken from.
        box_4: The part, in pixels of the latter.
        move: Where to.
        rng: As in ``pasted``.
        reach: As in ``pasted``.
    """
    half_px = reach * box_4[2:] / 2 * move.scale
    radius_px = math.ceil(math.hypot(*half_px)) + 2
    height, width = canvas_HW.shape
    left, top = (max(0, math.floor(value) - radius_px) for value in move.target)
    right = min(width, math.ceil(move.target[0]) + radius_px)
    bottom = min(height, math.ceil(move.target[1]) + radius_px)
    if right <= left or bottom <= top:
        return canvas_HW
    target = (move.target[0] - left, move.target[1] - top)
    local, size = replace(move, target=target), (right - left, bottom - top)
    patch_HW = moved_image(image_HW, local, size, border=cv2.BORDER_REPLICATE)
    share_HW = _mask(image_HW.shape, half_px, local, size, rng)
    below_HW = canvas_HW[top:bottom, left:right]
    lit_HW = _lit(patch_HW.astype(np.float32), float(below_HW.mean()), rng)
    result_HW = canvas_HW.copy()
    mixed_HW = below_HW + (lit_HW - below_HW) * share_HW
    result_HW[top:bottom, left:right] = mixed_HW.clip(0, 255)
    return result_HW


def is_free(scene: Photo, move: Move, size: tuple[float, float], reach: float) -> bool:
    """Whether something can be pasted without hiding a face.

    Args:
        scene: Into which.
        move: Of what is pasted.
        size: Width and height of its box, in its own pixels.
        reach: As in ``pasted``.
    """
    half = reach * move.scale * max(size) / 2
    place_4 = np.array([move.target[0] - half, move.target[1] - half, 2 * half, 2 * half])
    taken_N4 = np.concatenate([scene.boxes_N4, scene.ignored_N4])
    from_place_N4 = taken_N4 - [*place_4[:2], 0, 0]
    hidden_N = visible_shares(from_place_N4, 2 * half, 2 * half)
    covered_N = hidden_N * taken_N4[:, 2:].prod(1) / (2 * half) ** 2
    return bool((np.maximum(hidden_N, covered_N) < _HIDDEN).all())


def _mask(
    shape: tuple[int, ...],
    half_px: np.ndarray,
    move: Move,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Share of the pasted picture, float32 0..1: one inside, but for where it has nothing."""
    mask_HW = np.zeros(size[::-1], np.uint8)
    centre = (float(move.target[0] - 0.5), float(move.target[1] - 0.5))
    axes = (float(2 * half_px[0]), float(2 * half_px[1]))
    if rng.random() < 0.7:
        cv2.ellipse(mask_HW, (centre, axes, move.angle_deg), 255, cv2.FILLED)
    else:
        corners = cv2.boxPoints((centre, axes, move.angle_deg))
        cv2.fillPoly(mask_HW, [corners.round().astype(np.int32)], 255)
    corners_42 = np.array([(0, 0), (shape[1], 0), (shape[1], shape[0]), (0, shape[0])])
    there_HW = np.zeros_like(mask_HW)
    cv2.fillConvexPoly(there_HW, (moved_points(corners_42, move) - 0.5).astype(np.int32), 255)
    share_HW = cv2.min(mask_HW, there_HW)
    soft_px = round(rng.uniform(0, 0.4) * float(half_px.min()))
    if soft_px > 1:
        share_HW = cv2.blur(share_HW, (soft_px, soft_px), borderType=cv2.BORDER_REPLICATE)
    return share_HW.astype(np.float32) / 255


def _lit(patch_HW: np.ndarray, below: float, rng: np.random.Generator) -> np.ndarray:
    """Brings the light of what is pasted nearer to that of the scene, or not."""
    mean = float(patch_HW.mean())
    wanted = mean + rng.uniform(0, 0.8) * (below - mean)
    contrast = rng.uniform(0.6, 1.2)
    return np.asarray((patch_HW - mean) * contrast + wanted, np.float32)
