"""Who is who: people keep their numbers while they move, cross each other or hide for a while."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_fer.preprocess import Box, Point
from edge_fer.runtime.faces.detectors import Detection
from edge_fer.runtime.faces.follow import Motion
from edge_fer.runtime.faces.portrait import likeness, portrait
from edge_fer.runtime.faces.shrink import Small, to_small

#: Overlap that continues a face whatever it looks like.
MIN_OVERLAP = 0.3
#: Likeness from which a face further away can be the same person's.
MIN_LIKENESS = 0.5
#: Below this a followed box may have lost its face.
DOUBTFUL_LIKENESS = 0.4
#: A face that the detector misses is followed so long, and one out of sight remembered so long.
KEEP_S = 0.7
FORGET_S = 3.0
#: How far a face can be from where it is expected, in sides of its box: at once, a second later.
REACH, REACH_PER_S = 0.7, 1.0
_MOST_COAST_S = 1.0
_CROWDED = 0.1
_SMALLEST_PX = 4.0
_MOST_RESIZE = 2.0
_NEW_SHARE = 0.5


@dataclass(slots=True)
class Person:
    """A face over time, in pixels of the frame.

    Attributes:
        id: Never given to somebody else.
        box: Where the face is, or was last.
        landmarks: As ``Detection`` has them, moved along with the face.
        looks: As ``portrait`` gives it; None in pictures that are not followed.
        seen_s: Time of ``box``.
        detected_s: When the detector last found the face.
        velocity: Of the box's centre, ``x + iy`` in pixels per second.
        visible: Whether ``box`` is of the latest frame.
        tracked: Whether it was followed there, and not detected.
    """

    id: int
    box: Box
    landmarks: tuple[Point, ...] | None
    looks: np.ndarray
    seen_s: float
    detected_s: float
    velocity: complex = 0j
    visible: bool = True
    tracked: bool = False

    def expected(self, t_s: float) -> Box:
        """Returns where the box would be by now, had it gone on as before."""
        if self.visible:
            return self.box
        x, y, w, h = self.box
        way = self.velocity * min(t_s - self.seen_s, _MOST_COAST_S)
        return x + way.real, y + way.imag, w, h


class People:
    """All the people that are known, visible or not."""

    def __init__(self) -> None:
        self._people: list[Person] = []
        self._next = 0

    @property
    def visible(self) -> list[Person]:
        """Those whose face is in the latest frame."""
        return [person for person in self._people if person.visible]

    @property
    def ids(self) -> set[int]:
        """Numbers of everybody who is remembered."""
        return {person.id for person in self._people}

    def __len__(self) -> int:
        return len(self._people)

    @property
    def restless(self) -> bool:
        """Whether someone is out of sight, or faces overlap."""
        return len(self.visible) < len(self._people) or any(_crowds(self.visible))

    def follow(self, motions: Sequence[Motion | None], small: Small, t_s: float) -> bool:
        """Moves everybody visible.

        Args:
            motions: One for each of ``visible``, in that order.
            small: Of the latest frame.
            t_s: Its time.

        Returns:
            Whether the detector should be asked: a face got lost, or may have been.
        """
        doubt = False
        people = self.visible
        crowded = set(_crowds(people))
        for person, motion in zip(people, motions, strict=True):
            if motion is None or not _move(person, motion, t_s, person.id in crowded):
                person.visible = False
            doubt |= not person.visible or _likeness(person, small) < DOUBTFUL_LIKENESS
        self._forget(t_s)
        return doubt

    def detected(self, detections: Sequence[Detection], small: Small, t_s: float) -> None:
        """Gives detections to the people they belong to, or to new ones.

        Args:
            detections: Of the latest frame, in its pixels.
            small: Of that frame.
            t_s: Its time.
        """
        looks = [_portrait(found.box, small) for found in detections]
        pairs = self._match(detections, looks, t_s)
        for position, found in enumerate(detections):
            person = pairs.get(position)
            if person is None:
                self._add(found, looks[position], t_s)
            else:
                _renew(person, found, looks[position], t_s)
        self._hide_missed(small, t_s)
        self._forget(t_s)

    def clear(self) -> None:
        """Forgets everybody; numbers are not given again."""
        self._people.clear()

    def _match(
        self, detections: Sequence[Detection], looks: Sequence[np.ndarray], t_s: float
    ) -> dict[int, Person]:
        """Returns the person of each detection that has one; the surest pairs come first."""
        scored = []
        for person in self._people:
            for position, found in enumerate(detections):
                score = _score(person, found, looks[position], t_s)
                if score is not None:
                    scored.append((score, position, person))
        pairs: dict[int, Person] = {}
        taken: set[int] = set()
        for _, position, person in sorted(scored, key=lambda entry: -entry[0]):
            if position not in pairs and person.id not in taken:
                pairs[position] = person
                taken.add(person.id)
        return pairs

    def _add(self, found: Detection, looks: np.ndarray, t_s: float) -> None:
        self._people.append(Person(self._next, found.box, found.landmarks, looks, t_s, t_s))
        self._next += 1

    def _hide_missed(self, small: Small, t_s: float) -> None:
        """Hides who was not detected now, unless the face was followed without doubt."""
        found = [person for person in self.visible if person.detected_s == t_s]
        for person in self.visible:
            if person.detected_s != t_s:
                covered = any(overlap(person.box, other.box) > MIN_OVERLAP for other in found)
                late = t_s - person.detected_s > KEEP_S
                like = _likeness(person, small) >= MIN_LIKENESS
                person.visible = like and not covered and not late

    def _forget(self, t_s: float) -> None:
        self._people = [p for p in self._people if 0 <= t_s - p.seen_s <= FORGET_S]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes ``(x, y, w, h)``."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def _move(person: Person, motion: Motion, t_s: float, crowded: bool) -> bool:
    """Moves a face; False if it is gone."""
    box = motion.box(person.box)
    if min(box[2:]) < _SMALLEST_PX:
        return False
    passed_s = t_s - person.seen_s
    if passed_s > 0 and not crowded:
        now = (_centre(box) - _centre(person.box)) / passed_s
        person.velocity += min(1.0, passed_s / 0.2) * (now - person.velocity)
    person.landmarks = person.landmarks and motion.points(person.landmarks)
    person.box, person.seen_s, person.tracked = box, t_s, True
    return True


def _renew(person: Person, found: Detection, looks: np.ndarray, t_s: float) -> None:
    person.looks = cv2.addWeighted(person.looks, 1 - _NEW_SHARE, looks, _NEW_SHARE, 0)
    person.box, person.landmarks = found.box, found.landmarks
    person.seen_s = person.detected_s = t_s
    person.visible, person.tracked = True, False


def _score(person: Person, found: Detection, looks: np.ndarray, t_s: float) -> float | None:
    """Returns how well a detection fits a person, None if it cannot be theirs."""
    box = person.expected(t_s)
    shared = overlap(box, found.box)
    like = likeness(person.looks, looks)
    if shared < MIN_OVERLAP:
        side = max(box[2:])
        reach = side * (REACH + REACH_PER_S * (t_s - person.seen_s))
        resize = max(found.box[2:]) / side
        far = abs(_centre(box) - _centre(found.box)) > reach
        if far or like < MIN_LIKENESS or not 1 / _MOST_RESIZE < resize < _MOST_RESIZE:
            return None
    return shared + like


def _crowds(people: Sequence[Person]) -> Iterator[int]:
    """Gives the numbers of those whose face overlaps another's."""
    for person in people:
        if any(p is not person and overlap(p.box, person.box) > _CROWDED for p in people):
            yield person.id


def _portrait(box: Box, small: Small) -> np.ndarray:
    return portrait(small.gray, to_small(box, small.gray_scale, small.offset))


def _likeness(person: Person, small: Small) -> float:
    return likeness(person.looks, _portrait(person.box, small))


def _centre(box: Box) -> complex:
    return complex(box[0] + box[2] / 2, box[1] + box[3] / 2)
