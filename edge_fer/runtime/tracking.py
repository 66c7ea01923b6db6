"""Keeps a face's number from frame to frame by the overlap of its boxes."""

from collections.abc import Sequence

from edge_fer.preprocess import Box

MIN_OVERLAP = 0.3
FORGET_AFTER_FRAMES = 15


class Identities:
    """Greedy matching by intersection over union with the boxes last seen."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Box, int]] = {}
        self._next, self._frame = 0, 0

    def assign(self, boxes: Sequence[Box]) -> list[int]:
        """Returns a number per box: an old one where a box continues a face, else a new one."""
        self._frame += 1
        pairs = sorted(
            (
                (overlap(box, old), position, number)
                for position, box in enumerate(boxes)
                for number, (old, _) in self._last.items()
            ),
            reverse=True,
        )
        chosen: dict[int, int] = {}
        for score, position, number in pairs:
            if score >= MIN_OVERLAP and position not in chosen and number not in chosen.values():
                chosen[position] = number
        for position, box in enumerate(boxes):
            if position not in chosen:
                chosen[position] = self._next
                self._next += 1
            self._last[chosen[position]] = (box, self._frame)
        oldest = self._frame - FORGET_AFTER_FRAMES
        self._last = {n: (box, seen) for n, (box, seen) in self._last.items() if seen > oldest}
        return [chosen[position] for position in range(len(boxes))]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes ``(x, y, w, h)``."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)
