"""Finds the faces of a stream: detection at a low rate, and following in between."""

import time

from edge_fer.runtime.faces.detectors import Detection, Detector
from edge_fer.runtime.faces.follow import Follower
from edge_fer.runtime.faces.portrait import NOBODY
from edge_fer.runtime.faces.region import (
    detect_px,
    is_face,
    place,
    smallest_px,
    touches_border,
    view_of,
)
from edge_fer.runtime.faces.schedule import SceneCut, Schedule
from edge_fer.runtime.faces.shrink import Shrinker, Small
from edge_fer.runtime.faces.tracking import People, Person
from edge_fer.runtime.frame import Frame
from edge_fer.runtime.result import STAGES
from edge_fer.runtime.settings import Settings

#: Another face becomes the largest when its area is so many times that of the one before.
LARGER = 1.3


class Stopwatch:
    """Milliseconds of each stage of one frame.

    Args:
        capture_ms: What the frame took before it came here.
    """

    def __init__(self, capture_ms: float) -> None:
        self.latency_ms = dict.fromkeys(STAGES, 0.0)
        self.latency_ms["capture"] = capture_ms
        self._started_s = self._last_s = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Adds the time since the lap before to a stage."""
        now_s = time.perf_counter()
        self.latency_ms[stage] += 1e3 * (now_s - self._last_s)
        self._last_s = now_s

    def stop(self) -> dict[str, float]:
        """Returns all stages with their total."""
        passed_ms = 1e3 * (self._last_s - self._started_s)
        self.latency_ms["total"] = self.latency_ms["capture"] + passed_ms
        return self.latency_ms


class Finder:
    """Detector, follower and people, from frame to frame.

    Args:
        detector: Asked now and then, with a small picture.
        settings: Everything that says when and where to look.
    """

    def __init__(self, detector: Detector, settings: Settings) -> None:
        self.detector = detector
        self.people = People()
        self._settings = settings
        self._follower, self._chosen = Follower(), -1
        self._shape: tuple[int, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Forgets what came before, as at the beginning of another video."""
        self.people.clear()
        self._follower.forget()
        self._schedule, self._cut = Schedule(self._settings.detect_every), SceneCut()
        self._last_s = 0.0

    def find(self, frame: Frame, watch: Stopwatch) -> list[Person]:
        """Returns who is in the next frame of a video, largest face first.

        After an error of the detector, everything is as if that frame had not been due.
        """
        self._prepare(frame)
        view, offset = view_of(frame.image, self._settings.roi)
        small = self._shrinker(view, offset)
        motions = self._follower.follow(small, [person.box for person in self.people.visible])
        doubt = self.people.follow(motions, small, frame.t_s)
        doubt |= self._cut.seen(small.gray)
        watch.lap("track")
        if self._is_due(frame, doubt=doubt):
            detections = self._detect(frame, self._shrinker.for_detector(view, small))
            self._schedule.detected(frame.t_s)
            watch.lap("detect")
            self.people.detected(detections, small, frame.t_s)
        chosen = self._choose(self.people.visible)
        watch.lap("track")
        return chosen

    def find_in_photo(self, frame: Frame, watch: Stopwatch) -> list[Person]:
        """Returns who is in a photo, largest face first, numbered from 0."""
        view, offset = view_of(frame.image, self._settings.roi)
        shrinker = Shrinker(self._detect_px(view.shape, frame, photo=True))
        small = shrinker(view, offset)
        detections = self._detect(frame, shrinker.for_detector(view, small))
        watch.lap("detect")
        people = [
            Person(number, found.box, found.landmarks, NOBODY, 0.0, 0.0)
            for number, found in enumerate(detections)
        ]
        return people[:1] if self._settings.faces == "largest" else people

    def _prepare(self, frame: Frame) -> None:
        """Starts anew where frames change their size or go back in time."""
        if frame.image.shape != self._shape:
            self._shape = frame.image.shape
            view, _ = view_of(frame.image, self._settings.roi)
            self._shrinker = Shrinker(self._detect_px(view.shape, frame, photo=False))
            self.reset()
        if frame.t_s < self._last_s:
            self.reset()
        self._last_s = frame.t_s

    def _detect_px(self, shape: tuple[int, ...], frame: Frame, *, photo: bool) -> int:
        min_px = smallest_px(self._settings.min_face, frame.image.shape)
        return detect_px(self._settings.detect_width_px, min_px, max(shape[:2]), photo=photo)

    def _is_due(self, frame: Frame, *, doubt: bool) -> bool:
        visible = self.people.visible
        restless = self.people.restless or any(
            touches_border(person.box, frame.image.shape) for person in visible
        )
        return self._schedule.due(frame.t_s, faces=bool(visible), restless=restless, doubt=doubt)

    def _detect(self, frame: Frame, small: Small) -> list[Detection]:
        min_px = smallest_px(self._settings.min_face, frame.image.shape)
        found = [
            place(detection, small.scale, small.offset)
            for detection in self.detector.detect(small.image)
        ]
        return [detection for detection in found if is_face(detection.box, min_px)]

    def _choose(self, people: list[Person]) -> list[Person]:
        """Sorts by size; with ``largest``, stays with one face until another is much larger."""
        people.sort(key=lambda person: -person.box[2] * person.box[3])
        if self._settings.faces == "all" or not people:
            return people
        for person in people:
            area = person.box[2] * person.box[3]
            if person.id == self._chosen and people[0].box[2] * people[0].box[3] < LARGER * area:
                return [person]
        self._chosen = people[0].id
        return people[:1]
