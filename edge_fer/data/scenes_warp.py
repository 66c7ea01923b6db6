"""Moving pictures, boxes and points about: one similarity for all three.

Positions are continuous: (0, 0) is the upper left corner of the first pixel.
"""

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge_fer.data.scenes import Photo

#: Order of the five points in a mirror: right and left change places.
_MIRRORED = [1, 0, 2, 4, 3]
#: Smaller pictures are not made on the way: nothing would be left of them.
_LEAST_SCALE = 0.02
#: Around what is shown of a picture, its own pixels: averaging takes some of them in.
_MARGIN_PX = 8


@dataclass(frozen=True, kw_only=True)
class Move:
    """Maps ``source`` of a picture to ``target`` of another.

    Attributes:
        source: ``(x, y)`` that is moved.
        target: Where it goes.
        scale: Pixels there per pixel here.
        angle_deg: Of the turn, clockwise as seen.
        mirrored: Left and right are exchanged first.
    """

    source: tuple[float, float]
    target: tuple[float, float]
    scale: float
    angle_deg: float = 0.0
    mirrored: bool = False

    @property
    def matrix_23(self) -> np.ndarray:
        """Of homogeneous coordinates."""
        turn = math.radians(self.angle_deg)
        cos, sin = self.scale * math.cos(turn), self.scale * math.sin(turn)
        linear = np.array([[cos, -sin], [sin, cos]])
        if self.mirrored:
            linear[:, 0] *= -1
        shift = np.array(self.target) - linear @ np.array(self.source)
        return np.column_stack([linear, shift])


def moved_image(
    image_HW: np.ndarray, move: Move, size: tuple[int, int], *, border: int, fill: float = 0
) -> np.ndarray:
    """Draws a picture where a move puts it; averages pixels where it shrinks.

    Args:
        image_HW: uint8.
        move: Where to.
        size: Width and height of the result, pixels.
        border: OpenCV's way to fill what the picture does not reach.
        fill: Gray level there, if that is constant.
    """
    matrix_23 = move.matrix_23
    image_HW, corner_2 = _needed(image_HW, matrix_23, size)
    matrix_23[:, 2] += matrix_23[:, :2] @ corner_2
    if _LEAST_SCALE < move.scale < 1:
        height, width = image_HW.shape
        small = max(1, round(width * move.scale)), max(1, round(height * move.scale))
        image_HW = cv2.resize(image_HW, small, interpolation=cv2.INTER_AREA)
        matrix_23[:, :2] *= (width / small[0], height / small[1])
    matrix_23[:, 2] += matrix_23[:, :2].sum(1) / 2 - 0.5
    return cv2.warpAffine(image_HW, matrix_23, size, borderMode=border, borderValue=(fill,))


def _needed(
    image_HW: np.ndarray, matrix_23: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts out what a picture of that size shows, and says where that begins."""
    corners_42 = np.array([(0, 0), (size[0], 0), (0, size[1]), size]) - matrix_23[:, 2]
    seen_42 = np.linalg.solve(matrix_23[:, :2], corners_42.T).T
    limit_2 = np.array(image_HW.shape[::-1])
    start_2 = (np.floor(seen_42.min(0)) - _MARGIN_PX).clip(0, limit_2 - 1).astype(int)
    end_2 = (np.ceil(seen_42.max(0)) + _MARGIN_PX).clip(start_2 + 1, limit_2).astype(int)
    return image_HW[start_2[1] : end_2[1], start_2[0] : end_2[0]], start_2


def moved_faces(photo: Photo, move: Move, image_HW: np.ndarray) -> Photo:
    """Returns a photo with its boxes and points moved, and another picture.

    A turned face's box is the one around the turned ellipse that filled it before.
    """
    points_N52 = moved_points(photo.points_N52, move)
    return replace(
        photo,
        image_HW=image_HW,
        boxes_N4=moved_boxes(photo.boxes_N4, move),
        points_N52=points_N52[:, _MIRRORED] if move.mirrored else points_N52,
        ignored_N4=moved_boxes(photo.ignored_N4, move),
    )


def moved_points(points: np.ndarray, move: Move) -> np.ndarray:
    """Moves points ``[..., 2]``."""
    matrix_23 = move.matrix_23
    return np.asarray(points @ matrix_23[:, :2].T + matrix_23[:, 2])


def moved_boxes(boxes_N4: np.ndarray, move: Move) -> np.ndarray:
    """Moves boxes ``x, y, w, h``, as ``moved_faces`` says."""
    turn = math.radians(move.angle_deg)
    centres_N2 = moved_points(boxes_N4[:, :2] + boxes_N4[:, 2:] / 2, move)
    cross = np.abs([[math.cos(turn), math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    sizes_N2 = move.scale * np.sqrt(boxes_N4[:, 2:] ** 2 @ (cross**2).T)
    return np.hstack([centres_N2 - sizes_N2 / 2, sizes_N2])


def visible_shares(boxes_N4: np.ndarray, width: float, height: float) -> np.ndarray:
    """Returns how much of each box is inside a picture, 0..1."""
    starts_N2 = boxes_N4[:, :2].clip(0)
    ends_N2 = np.minimum(boxes_N4[:, :2] + boxes_N4[:, 2:], (width, height))
    return np.asarray((ends_N2 - starts_N2).clip(0).prod(1) / boxes_N4[:, 2:].prod(1))


def face_sizes_px(boxes_N4: np.ndarray) -> np.ndarray:
    """Returns what is called the size of a face: the square root of its box's area."""
    return np.asarray(np.sqrt(boxes_N4[:, 2:].prod(1)))
