"""Follows faces from one small gray picture to the next, for a small part of a detector's cost.

A grid of points inside each face is followed by Lucas-Kanade optical flow, forth and back again.
Points that do not come back to where they began, or that go another way than the others, are left
out; of the others the least-squares shift, scale and rotation is the face's motion.

Points are complex numbers where they are turned: ``x + iy``.
"""

import cmath
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from edge_fer.preprocess import Box, Point
from edge_fer.runtime.faces.shrink import Small, to_small

GRID = 5
INNER = 0.75
#: Sides of its box around a face in which its points may be found again.
ROOM = 0.7
WINDOW_PX = 9
LEVELS = 3
MOST_RETURN_PX = 1.0
MOST_STRAY = 0.15
LEAST_KEPT = 0.4
MOST_SCALE = 1.25
MOST_TURN_RAD = 0.4


@dataclass(frozen=True, slots=True)
class Motion:
    """How a face moved between two frames, in pixels of the frame.

    Attributes:
        start: Centre of its points before.
        end: Their centre after.
        turn: Scale and rotation about the centre.
        kept: Fraction of the points that agree with it.
    """

    start: complex
    end: complex
    turn: complex
    kept: float

    def box(self, box: Box) -> Box:
        """Returns where a box came to; it grows or shrinks, but stays upright."""
        x, y, w, h = box
        centre = self._moved(complex(x + w / 2, y + h / 2))
        w, h = w * abs(self.turn), h * abs(self.turn)
        return centre.real - w / 2, centre.imag - h / 2, w, h

    def points(self, points: Sequence[Point]) -> tuple[Point, ...]:
        """Returns where points of the face came to."""
        moved = [self._moved(complex(*point)) for point in points]
        return tuple((point.real, point.imag) for point in moved)

    def _moved(self, point: complex) -> complex:
        return self.end + self.turn * (point - self.start)


class Follower:
    """Remembers the picture before."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        steps = (np.arange(GRID) / (GRID - 1) - 0.5) * INNER + 0.5
        self._grid_P2 = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2).astype(np.float32)

    def follow(self, small: Small, boxes: Sequence[Box]) -> list[Motion | None]:
        """Finds where faces went since the picture before, and remembers this one.

        Args:
            small: Of this frame.
            boxes: Of the faces in the frame before, in its pixels.

        Returns:
            A motion per box; None where too few points agree, or where there was no picture of the
            same size before.
        """
        before, self._before = self._before, small.gray
        if before is None or before.shape != small.gray.shape or not boxes:
            return [None] * len(boxes)
        scale = small.gray_scale
        shrunk = [to_small(box, scale, small.offset) for box in boxes]
        starts_N2 = np.concatenate([self._points(box) for box in shrunk])
        rows, columns = _around(shrunk, before.shape)
        corner = np.array((columns.start, rows.start), np.float32)
        pictures = before[rows, columns], small.gray[rows, columns]
        ends_N2, good_N = _flow_there_and_back(*pictures, starts_N2 - corner)
        shift = complex(*small.offset)
        starts_N = _complex(starts_N2) / scale + shift
        ends_N = _complex(ends_N2 + corner) / scale + shift
        edges = range(0, len(starts_N) + 1, GRID**2)
        parts = [slice(first, last) for first, last in pairwise(edges)]
        return [
            _motion(starts_N[part], ends_N[part], good_N[part], MOST_STRAY * box[2])
            for part, box in zip(parts, boxes, strict=True)
        ]

    def forget(self) -> None:
        """Forgets the picture before."""
        self._before = None

    def _points(self, box: Box) -> np.ndarray:
        x, y, w, h = box
        return np.array(self._grid_P2 * (w, h) + (x, y), np.float32)


def _around(boxes: Sequence[Box], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Returns rows and columns of a picture that hold all boxes with room to move."""
    spans = []
    for axis in (1, 0):
        limit = shape[1 - axis]
        starts = [box[axis] - ROOM * box[axis + 2] for box in boxes]
        ends = [box[axis] + (1 + ROOM) * box[axis + 2] for box in boxes]
        first = int(max(0, min(limit - 1, min(starts))))
        spans.append(slice(first, int(max(first + 1, min(limit, max(ends))))))
    return spans[0], spans[1]


def _flow_there_and_back(
    before: np.ndarray, after: np.ndarray, starts_N2: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the points' ends, and which came back to where they began."""
    ends_N2, there_N1 = _flow(before, after, starts_N2)
    again_N2, back_N1 = _flow(after, before, ends_N2)
    returned_N = np.abs(again_N2 - starts_N2).max(1) < MOST_RETURN_PX
    return ends_N2, returned_N & (there_N1[:, 0] & back_N1[:, 0]).astype(bool)


def _flow(
    before: np.ndarray, after: np.ndarray, points_N2: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns where points went, float32 ``[N, 2]``, and whether they were found, ``[N, 1]``."""
    ends_N2, found_N1, _ = cv2.calcOpticalFlowPyrLK(  # type: ignore[call-overload]
        before, after, points_N2, None, winSize=(WINDOW_PX, WINDOW_PX), maxLevel=LEVELS
    )
    return ends_N2, found_N1


def _motion(
    starts_P: np.ndarray, ends_P: np.ndarray, good_P: np.ndarray, most_stray: float
) -> Motion | None:
    needed = LEAST_KEPT * len(good_P)
    starts, steps = starts_P[good_P], (ends_P - starts_P)[good_P]
    if len(steps) < needed:
        return None
    half = len(steps) // 2
    middle = complex(np.sort(steps.real)[half], np.sort(steps.imag)[half])
    near = np.abs(steps - middle) < most_stray
    starts, steps = starts[near], steps[near]
    if len(steps) < needed:
        return None
    start, step = complex(starts.mean()), complex(steps.mean())
    starts -= start
    turn = 1 + complex(np.vdot(starts, steps) / np.vdot(starts, starts))
    if not 1 / MOST_SCALE < abs(turn) < MOST_SCALE or abs(cmath.phase(turn)) > MOST_TURN_RAD:
        return None
    return Motion(start, start + step, turn, len(steps) / len(good_P))


def _complex(points_N2: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(points_N2, np.float64).view(np.complex128)[:, 0]
