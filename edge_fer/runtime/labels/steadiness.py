"""How steady labels are over time: flips per minute, and the time to a stable label."""

import statistics
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edge_fer.runtime.result import Result

SCHEMA = "edge-fer/steadiness/1"
#: A label is stable once it stayed so long.
STABLE_S = 1.0
#: Between two frames with a face further apart than this, nobody was watching.
LONGEST_GAP_S = 1.0
#: Faces of which the figures are kept one by one: those seen last.
MOST_FACES = 32
_MOST_TIMES = 1000


@dataclass(slots=True)
class _Labels:
    """One sequence of labels of one face."""

    label: str = ""
    since_s: float = 0.0
    flips: int = 0
    stable_after_s: float | None = None

    def add(self, label: str, t_s: float, watched_s: float, *, goes_on: bool) -> bool:
        """Takes a label; says whether the sequence became stable for the first time."""
        if not goes_on or label != self.label:
            self.flips += goes_on
            self.label, self.since_s = label, t_s
        held_s = t_s - self.since_s
        if self.stable_after_s is not None or held_s < STABLE_S:
            return False
        self.stable_after_s = max(0.0, watched_s - held_s)
        return True


@dataclass(slots=True)
class _Face:
    last_s: float
    seconds: float = 0.0
    frames: int = 0
    raw: _Labels = field(default_factory=_Labels)
    shown: _Labels = field(default_factory=_Labels)


@dataclass(slots=True)
class _Sum:
    """Flips, and times to a stable label, of all faces; of the times, those of the last 1000."""

    flips: int = 0
    times_s: deque[float] = field(default_factory=lambda: deque(maxlen=_MOST_TIMES))


class Steadiness:
    """Adds up how often labels change, of each frame alone (raw) and as shown.

    Every change counts, also to and from ``unsure``. The time to a stable label is that from a
    face's first frame to the beginning of the first ``STABLE_S`` in which its label stayed; time in
    which the face was out of sight does not count. Photos, which have no time, do not either.
    """

    def __init__(self) -> None:
        self._faces: OrderedDict[int, _Face] = OrderedDict()
        self._raw, self._shown = _Sum(), _Sum()
        self._seconds = 0.0
        self._frames = self._count = 0

    def add(self, result: Result) -> None:
        """Takes the faces of a frame; memory stays the same, however many there are."""
        if result.frame.name:
            return
        for seen in result.faces:
            self._add(seen.id, seen.raw_label, seen.label, result.frame.t_s)

    def _add(self, number: int, raw_label: str, label: str, t_s: float) -> None:
        face = self._faces.get(number)
        if face is None:
            face = self._faces[number] = _Face(t_s)
            self._count += 1
        passed_s = t_s - face.last_s
        goes_on = face.frames > 0 and 0 <= passed_s <= LONGEST_GAP_S
        if goes_on:
            face.seconds += passed_s
            self._seconds += passed_s
        face.last_s = t_s
        face.frames += 1
        self._frames += 1
        for labels, total, name in (
            (face.raw, self._raw, raw_label),
            (face.shown, self._shown, label),
        ):
            before = labels.flips
            if labels.add(name, t_s, face.seconds, goes_on=goes_on):
                total.times_s.append(labels.stable_after_s or 0.0)
            total.flips += labels.flips - before
        self._faces.move_to_end(number)
        if len(self._faces) > MOST_FACES:
            self._faces.popitem(last=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values.

        Returns:
            ``schema``; ``faces`` and ``seconds`` watched, the sum over all faces; ``raw`` and
            ``shown``, each with ``flips``, ``flips_per_minute`` (None before there is any time),
            ``stable`` (faces that had a stable label) and ``median_s_to_stable``; ``flips_removed``
            (fraction, None without raw flips); and ``by_face``, the same for each of the last
            ``MOST_FACES``.
        """
        return {
            "schema": SCHEMA,
            "faces": self._count,
            "frames": self._frames,
            "seconds": round(self._seconds, 3),
            "raw": _figures(self._raw.flips, self._seconds, self._raw.times_s),
            "shown": _figures(self._shown.flips, self._seconds, self._shown.times_s),
            "flips_removed": _removed(self._raw.flips, self._shown.flips),
            "by_face": [_face_figures(number, face) for number, face in self._faces.items()],
        }


def _face_figures(number: int, face: _Face) -> dict[str, Any]:
    figures: dict[str, Any] = {"id": number, "frames": face.frames}
    figures["seconds"] = round(face.seconds, 3)
    for name, labels in (("raw", face.raw), ("shown", face.shown)):
        times_s = [] if labels.stable_after_s is None else [labels.stable_after_s]
        figures[name] = _figures(labels.flips, face.seconds, times_s)
    return figures


def _figures(flips: int, seconds: float, times_s: Iterable[float]) -> dict[str, Any]:
    times = list(times_s)
    return {
        "flips": flips,
        "flips_per_minute": round(60 * flips / seconds, 2) if seconds else None,
        "stable": len(times),
        "median_s_to_stable": round(statistics.median(times), 3) if times else None,
    }


def _removed(raw: int, shown: int) -> float | None:
    return round(1 - shown / raw, 4) if raw else None
