"""The recognizer: frames in, faces with their expressions out, every stage timed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edge_fer.bundle import Bundle
from edge_fer.resources import find_resource
from edge_fer.runtime.classifier import Classifier, choose_file
from edge_fer.runtime.faces.detectors import Detector, open_detector
from edge_fer.runtime.faces.finder import Finder, Stopwatch
from edge_fer.runtime.faces.tracking import Person
from edge_fer.runtime.frame import Frame, Source
from edge_fer.runtime.labels.micro import MicroClip
from edge_fer.runtime.labels.smoothing import Smoother
from edge_fer.runtime.result import UNSURE, Face, Result
from edge_fer.runtime.settings import Settings

DEFAULT_BUNDLE = "small"


@dataclass(slots=True)
class _History:
    """What is remembered of one person."""

    smoother: Smoother | None
    clip: MicroClip | None


class Recognizer:
    """Finds faces, follows them and reads their expressions.

    Three lines are enough::

        from edge_fer import Recognizer
        for result in Recognizer.load().stream("camera"):
            print([face.label for face in result.faces])

    A recognizer is for one thread, and for one stream at a time.

    Args:
        classifier: From face pixels to probabilities.
        detector: Finds faces in a picture.
        settings: See ``Settings``; its detector, engine and threads are those given here.
    """

    def __init__(
        self, classifier: Classifier, detector: Detector, settings: Settings | None = None
    ) -> None:
        self.settings = settings or Settings()
        self.classifier = classifier
        self._finder = Finder(detector, self.settings)
        self._histories: dict[int, _History] = {}
        self._new_history()  # refuses settings that do not fit the labels

    @classmethod
    def load(cls, bundle: str = DEFAULT_BUNDLE, **settings: Any) -> "Recognizer":
        """Loads a bundle.

        Args:
            bundle: Name of one that comes with edge-fer, or a path.
            **settings: Fields of ``Settings``, such as ``detector="haar"`` or ``smooth_s=0``.

        Raises:
            EdgeFerError: Bundle, engine, detector or settings cannot be used.
        """
        chosen = Settings(**settings)
        loaded = Bundle.load(find_resource("bundle", bundle))
        model_file, engine = choose_file(loaded, chosen.engine)
        cv2.setNumThreads(chosen.threads)
        classifier = Classifier(loaded, model_file, engine, chosen.threads)
        detector = chosen.detector
        if isinstance(detector, str):
            detector = open_detector(detector, width_px=0, threads=chosen.threads)
        return cls(classifier, detector, chosen)

    @property
    def detector(self) -> Detector:
        """What finds the faces; another one may be put in its place between two frames."""
        return self._finder.detector

    @detector.setter
    def detector(self, detector: Detector) -> None:
        self._finder.detector = detector

    def stream(self, source: Source | str) -> Iterator[Result]:
        """Reads every frame of a source.

        Args:
            source: An open source, or what ``open_source`` takes, such as ``photo.jpg``,
                ``clip.mp4`` or ``camera``: that is opened here and closed at the end.

        Raises:
            EdgeFerError: The source cannot be opened, or ends in an error.
        """
        if isinstance(source, str):
            from edge_fer.runtime.sources.opening import open_source

            with open_source(source) as opened:
                yield from self.stream(opened)
            return
        self.reset()
        for frame in source:
            yield self.read(frame)

    def reset(self) -> None:
        """Forgets all people, as at the beginning of another video."""
        self._finder.reset()
        self._histories.clear()

    def read(self, frame: Frame) -> Result:
        """Finds the faces of one frame and reads their expressions.

        A frame with a name is a photo: it is searched whole, and read for itself. Any other is the
        next of a video, where faces are followed and labels smoothed. An error of the detector or
        the classifier goes to the caller, and the next frame can be read as ever.

        Args:
            frame: Of any size, in colour or gray.

        Raises:
            ModelError: The bundle is for clips, and this is a photo.
        """
        watch = Stopwatch(frame.capture_ms)
        if frame.name:
            people = self._finder.find_in_photo(frame, watch)
        else:
            people = self._finder.find(frame, watch)
        faces = tuple(self._read_face(person, frame, watch) for person in people)
        if len(self._histories) > len(self._finder.people):
            self._forget()
        watch.lap("post")
        return Result(frame, faces, watch.stop())

    def _read_face(self, person: Person, frame: Frame, watch: Stopwatch) -> Face:
        history = self._history(person, frame)
        eyes = person.landmarks and person.landmarks[:2]
        if history.clip is not None:
            pixels = history.clip.push(frame, person.box, eyes)
        else:
            preprocessing = self.classifier.preprocessing
            pixels = preprocessing.face_pixels(frame.image, person.box, eyes)
        watch.lap("preprocess")
        if pixels is None:
            return self._unread(person)
        logits_K = self.classifier.logits(pixels)
        watch.lap("classify")
        raw_K = self.classifier.probabilities(logits_K)
        if history.smoother is None:
            face = self._face(person, raw_K)
        else:
            smooth_K, answer = history.smoother.update(raw_K, frame.t_s)
            face = self._face(person, smooth_K, answer, raw_K)
        watch.lap("post")
        return face

    def _unread(self, person: Person) -> Face:
        """A face whose clip is still too short."""
        count = len(self.classifier.labels)
        return self._face(person, np.full(count, 1 / count, np.float32), UNSURE)

    def _face(
        self,
        person: Person,
        probabilities_K: np.ndarray,
        answer: str = "",
        raw_K: np.ndarray | None = None,
    ) -> Face:
        return Face(
            person.id,
            person.box,
            probabilities_K,
            self.classifier.labels,
            person.landmarks,
            answer,
            raw_K,
            person.tracked,
        )

    def _history(self, person: Person, frame: Frame) -> _History:
        if frame.name:
            return _History(None, self._new_history().clip)
        history = self._histories.get(person.id)
        if history is None:
            history = self._histories[person.id] = self._new_history()
        return history

    def _new_history(self) -> _History:
        settings, preprocessing = self.settings, self.classifier.preprocessing
        smoother = Smoother(settings, self.classifier.labels) if settings.smooth_s else None
        clip = MicroClip(preprocessing, settings.clip_s) if preprocessing.clip else None
        return _History(smoother, clip)

    def _forget(self) -> None:
        ids = self._finder.people.ids
        self._histories = {n: history for n, history in self._histories.items() if n in ids}
