"""Live sources that survive their camera: lost, looked for with patience, and back."""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_fer.errors import SourceError
from edge_fer.runtime.frame import Closing, Frame
from edge_fer.runtime.sources.latest import Camera, Latest, Shot

_log = logging.getLogger("edge_fer.sources")

#: Beside so many reads that hang, the camera is not opened again before one has ended.
MAX_HUNG = 2


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How long to wait for a camera.

    Attributes:
        give_up_s: End if a lost camera is not back within so many seconds; 0 means never.
        silent_s: A camera that gives nothing for so many seconds is lost.
        open_s: As ``silent_s``, for opening it again and its first frame together.
        first_s: Wait about so long before the first attempt; each later wait is twice as long.
        longest_s: Up to this. A camera that stayed for so long begins anew with ``first_s``.
    """

    give_up_s: float = 60.0
    silent_s: float = 10.0
    open_s: float = 20.0
    first_s: float = 0.5
    longest_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.give_up_s < float("inf"):
            raise SourceError(f"retry for {self.give_up_s:g} s: not a number of seconds from 0 up")

    def delays_s(self, generator: random.Random) -> Iterator[float]:
        """Yields the waits before each attempt: twice as long each time, minus up to a half.

        The random part keeps several readers of one camera from coming back in step. No wait is
        longer than a quarter of ``give_up_s``, which leaves time for attempts.
        """
        longest_s = self.longest_s
        if self.give_up_s:
            longest_s = min(longest_s, self.give_up_s / 4)
        delay_s = min(self.first_s, longest_s)
        while True:
            yield delay_s * generator.uniform(0.5, 1.0)
            delay_s = min(2 * delay_s, longest_s)


class LiveSource(Closing):
    """The newest frames of a camera, which is opened again whenever it is lost.

    A camera that fails before its first frame is an error at once: it is the wrong one.

    Args:
        camera: The camera, opened.
        open_again: Opens it again, in another thread, after each loss.
        name: What to call it in messages.
        retry: How long to wait for it.
        every_frame: Let the camera wait for the reader instead of replacing frames.
    """

    live = True

    def __init__(
        self,
        camera: Camera,
        open_again: Callable[[], Camera],
        name: str,
        *,
        retry: Retry | None = None,
        every_frame: bool = False,
    ) -> None:
        self.fps, self._name = camera.fps, name
        self._open_again, self._every_frame = open_again, every_frame
        self._retry = retry or Retry()
        self._delays_s = self._retry.delays_s(random.Random())
        self._closed = threading.Event()
        self._hung: list[Latest] = []
        self._index, self._number, self._since_s = -1, 0, 0.0
        self._first_s: float | None = None
        self._latest = Latest(lambda: camera, every_frame=every_frame)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            asked_s = time.monotonic()
            try:
                shot = self._next()
            except EOFError:
                return
            if shot is None:
                return
            yield self._frame(shot, asked_s)

    def close(self) -> None:
        """Ends the iteration and frees the camera; from any thread."""
        self._closed.set()
        self._latest.close()

    def _frame(self, shot: Shot, asked_s: float) -> Frame:
        now_s = time.monotonic()
        if self._first_s is None:
            self._first_s, self._number = shot.read_s, shot.number - 1
        dropped = shot.number - self._number - 1
        self._index += 1 + dropped
        self._number = shot.number
        return Frame(
            self._index,
            shot.read_s - self._first_s,
            shot.image,
            1e3 * (now_s - asked_s),
            dropped=dropped,
            age_ms=1e3 * (now_s - shot.read_s),
        )

    def _next(self) -> Shot | None:
        try:
            return self._latest.take(self._retry.silent_s)
        except EOFError:
            raise
        except Exception as error:
            if self._first_s is None:
                raise SourceError(f"{self._name}: {_reason(error)}") from error
            return self._find_again(error)

    def _find_again(self, error: Exception) -> Shot | None:
        lost_s = time.monotonic()
        _log.warning("%s: lost: %s; looking for it", self._name, _reason(error))
        if lost_s - self._since_s > self._retry.longest_s:
            self._delays_s = self._retry.delays_s(random.Random())
        self._leave()
        while not self._closed.wait(min(next(self._delays_s), self._left_s(lost_s))):
            if not self._left_s(lost_s):
                raise self._given_up(error) from error
            try:
                shot = self._attempt(lost_s)
            except EOFError:
                raise
            except Exception as newer:
                error = newer
                self._leave()
                continue
            self._since_s, self._number = time.monotonic(), 0
            if shot is not None:
                _log.info("%s: back after %.1f s", self._name, self._since_s - lost_s)
            return shot
        return None

    def _attempt(self, lost_s: float) -> Shot | None:
        self._hung = [latest for latest in self._hung if latest.running]
        if len(self._hung) >= MAX_HUNG:
            raise SourceError(f"{len(self._hung)} reads of it hang")
        self._latest = Latest(self._open_again, every_frame=self._every_frame)
        if self._closed.is_set():
            self._latest.close()
        return self._latest.take(min(self._retry.open_s, self._left_s(lost_s)))

    def _leave(self) -> None:
        self._latest.close()
        if self._latest.running and self._latest not in self._hung:
            self._hung.append(self._latest)

    def _left_s(self, lost_s: float) -> float:
        if not self._retry.give_up_s:
            return float("inf")
        return max(0.0, self._retry.give_up_s - (time.monotonic() - lost_s))

    def _given_up(self, error: Exception) -> SourceError:
        patience = f"not back within {self._retry.give_up_s:g} s, given up"
        return SourceError(f"{self._name}: {patience}: {_reason(error)}")


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0]
