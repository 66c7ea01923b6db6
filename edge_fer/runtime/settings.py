"""How a recognizer finds faces and settles on labels."""

from dataclasses import dataclass

from edge_fer.errors import ModelError
from edge_fer.preprocess import Box
from edge_fer.runtime.faces.detectors import Detector

FACES = ("all", "largest")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything about a recognizer but its bundle.

    Attributes:
        detector: See ``open_detector``, or an object with a method ``detect``.
        engine: Of the classifier; None is the preferred one that is installed.
        threads: Of one inference and of OpenCV.
        detect_every: Frames from one detection to the next; 0 is every 0.3 s, or every 0.1 s while
            no face is known. In between, faces are followed. Photos are always searched.
        detect_width_px: Longest side of the picture that the detector gets; 0 is 384 for a video,
            640 for a photo, and more if ``min_face`` asks for smaller faces.
        faces: ``all``, or only the ``largest``.
        roi: Where to look for faces, ``(x, y, w, h)``: fractions of the frame if none is above 1,
            else pixels. None is everywhere.
        min_face: Smallest face that counts, by the longer side of its box: a fraction of the
            frame's shorter side if below 1, else pixels; 0 is whatever the detector finds.
        smooth_s: Time constant of the probabilities' smoothing in seconds; 0 is none, and then
            there is neither hysteresis nor ``unsure``.
        hysteresis: Lead in probability by which a new label replaces the old one at once. With a
            smaller lead, it has to stay ahead for ``hold_s``.
        hold_s: Seconds.
        unsure: The answer is ``unsure`` while no smoothed probability reaches this; 0 is never.
        neutral_baseline: Whether to learn each person's resting face (see ``Baseline``).
        clip_s: Length of the sliding clip in seconds, for a bundle of dynamic images.
    """

    detector: str | Detector = "auto"
    engine: str | None = None
    threads: int = 1
    detect_every: int = 0
    detect_width_px: int = 0
    faces: str = "all"
    roi: Box | None = None
    min_face: float = 0.0
    smooth_s: float = 0.2
    hysteresis: float = 0.1
    hold_s: float = 0.5
    unsure: float = 0.35
    neutral_baseline: bool = False
    clip_s: float = 0.5

    def __post_init__(self) -> None:
        for name in ("detect_every", "detect_width_px", "min_face", "smooth_s", "hold_s"):
            if not getattr(self, name) >= 0:
                raise ModelError(f"{name} is {getattr(self, name)}; it must be 0 or above")
        if self.threads < 1:
            raise ModelError(f"threads is {self.threads}; it must be 1 or above")
        if not self.clip_s > 0:
            raise ModelError(f"clip_s is {self.clip_s}; it must be above 0")
        for name in ("hysteresis", "unsure"):
            if not 0 <= getattr(self, name) <= 1:
                raise ModelError(f"{name} is {getattr(self, name)}; it must be from 0 to 1")
        if self.faces not in FACES:
            raise ModelError(f"faces is {self.faces!r}; known: {', '.join(FACES)}")
        if self.roi is not None and not _is_region(self.roi):
            raise ModelError(f"roi is {self.roi}; it must be x, y, w, h with w and h above 0")


def _is_region(roi: Box) -> bool:
    return len(roi) == 4 and min(roi[:2]) >= 0 and min(roi[2:]) > 0
