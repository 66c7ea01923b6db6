"""How a run fares, for health checks: small, safe to ask from any thread."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fer import __version__
from edge_fer.runtime.result import Result
from edge_fer.sensors import temperature

if TYPE_CHECKING:
    from edge_fer.runtime.outputs.publish import Publisher

SCHEMA = "edge-fer/health/1"
FPS_WINDOW_S = 10
STALE_AFTER_S = 5.0
#: More kinds of errors than these count as ``other``.
MAX_ERROR_KINDS = 20


class Health:
    """Collects what ``to_dict`` tells.

    Args:
        publishers: Whose states to tell.
        stale_after_s: Without a frame for so long, the status is ``stale``.
        clock: Monotonic seconds.
        root: Where ``proc`` and ``sys`` are found.
    """

    def __init__(
        self,
        publishers: "Sequence[Publisher]" = (),
        *,
        stale_after_s: float = STALE_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
        root: Path = Path("/"),
    ) -> None:
        self._publishers, self._stale_after_s = tuple(publishers), stale_after_s
        self._clock, self._root = clock, root
        self._lock = threading.Lock()
        self._started_s = clock()
        self._frames = self._dropped = self._faces = 0
        self._last_frame_s: float | None = None
        self._errors: dict[str, int] = {}
        self._seconds: deque[list[int]] = deque(maxlen=FPS_WINDOW_S + 1)

    def frame(self, result: Result) -> None:
        """Counts a frame; O(1) in time and memory."""
        now_s = self._clock()
        with self._lock:
            self._frames += 1
            self._dropped += result.frame.dropped
            self._faces = len(result.faces)
            self._last_frame_s = now_s
            self._count_second(int(now_s - self._started_s))

    def error(self, kind: str) -> None:
        """Counts trouble that the run survived, e.g. ``camera lost``."""
        with self._lock:
            if kind not in self._errors and len(self._errors) >= MAX_ERROR_KINDS:
                kind = "other"
            self._errors[kind] = self._errors.get(kind, 0) + 1

    def to_dict(self) -> dict[str, Any]:
        """Returns the document of a health check, plain values; what cannot be read is ``None``.

        ``status`` is ``starting`` before the first frame, then ``ok``, or ``stale`` if none came
        for long.
        """
        with self._lock:
            now_s = self._clock()
            age_s = None if self._last_frame_s is None else now_s - self._last_frame_s
            document = {
                "schema": SCHEMA,
                "version": __version__,
                "status": self._status(age_s),
                "uptime_s": round(now_s - self._started_s, 3),
                "frames": self._frames,
                "fps": round(self._fps(now_s - self._started_s), 2),
                "last_frame_age_s": None if age_s is None else round(age_s, 3),
                "dropped_frames": self._dropped,
                "faces": self._faces,
                "errors": dict(self._errors),
            }
        return {
            **document,
            "rss_mb": rss_mb(self._root),
            "temperature_c": temperature(self._root).value,
            "publishers": [publisher.status() for publisher in self._publishers],
        }

    def _status(self, age_s: float | None) -> str:
        if age_s is None:
            return "starting"
        return "stale" if age_s > self._stale_after_s else "ok"

    def _count_second(self, second: int) -> None:
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0])
        self._seconds[-1][1] += 1

    def _fps(self, uptime_s: float) -> float:
        """Over the last whole seconds, ``FPS_WINDOW_S`` at most, and the present one so far."""
        first = max(0, int(uptime_s) - FPS_WINDOW_S + 1)
        frames = sum(count for second, count in self._seconds if second >= first)
        return frames / max(1.0, uptime_s - first)


def rss_mb(root: Path = Path("/")) -> float | None:
    """Returns the memory that this process holds, 1 MB = 10**6 bytes; ``None`` where unknown."""
    try:
        pages = int((root / "proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
