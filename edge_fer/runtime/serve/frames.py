"""From the camera loop's thread to the server's: the newest result, and one JPEG of it for all.

The loop only swaps a reference. A picture is encoded when a viewer waits for it, in the server's
thread, at most ``PICTURES_PER_S`` times a second however many watch.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from edge_fer.runtime.result import Result

PICTURES_PER_S = 12
MAX_WIDTH_PX = 640
JPEG_QUALITY = 75
STATUS_EVERY_S = 1.0


class EndedError(Exception):
    """The run is over: there will be no other result."""


class FullError(Exception):
    """All places for viewers are taken."""


class Exchange:
    """Holds the newest result; whoever waits for the next one wakes when it comes.

    ``put`` and ``end`` are for other threads, ``after`` for tasks of one event loop.

    Attributes:
        latest: How many results there were, and the last of them.
    """

    def __init__(self) -> None:
        self.latest: tuple[int, Result | None] = (0, None)
        self._ended = self._someone_waits = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()

    def put(self, result: Result) -> None:
        """Replaces the result. Its image must not be written to from here on."""
        self.latest = self.latest[0] + 1, result
        if self._someone_waits:
            self._wake_from_outside()

    def end(self) -> None:
        """Sends everyone who waits away, now and later."""
        self._ended = True
        self._wake_from_outside()

    async def after(self, number: int) -> tuple[int, Result]:
        """Waits until there is a result after the one of this number.

        Returns:
            The newest result and its number.

        Raises:
            EndedError: The run is over.
        """
        self._loop = asyncio.get_running_loop()
        while not self._ended:
            self._someone_waits = True  # First, or a result could slip in between.
            newest, result = self.latest
            if newest > number and result is not None:
                return newest, result
            await self._news.wait()
        raise EndedError

    def _wake_from_outside(self) -> None:
        self._someone_waits = False
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # The server's loop is closed already.
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


@dataclass(frozen=True, slots=True)
class Picture:
    """A result with its picture.

    Attributes:
        number: Of the result, as ``Exchange`` counts them.
        result: The result.
        jpeg: At most ``MAX_WIDTH_PX`` wide.
    """

    number: int
    result: Result
    jpeg: bytes


class Pictures:
    """The newest picture, encoded once for everyone who waits for it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._lock = asyncio.Lock()
        self._picture: Picture | None = None
        self._next_at_s = 0.0

    async def after(self, number: int) -> Picture:
        """Waits for a picture of a result after the one of this number.

        Raises:
            EndedError: The run is over.
        """
        async with self._lock:
            if self._picture is None or self._picture.number <= number or not self._is_new():
                await asyncio.sleep(self._next_at_s - time.monotonic())
                newest, result = await self._exchange.after(number)
                self._picture = Picture(newest, result, encode(result.frame.image))
                self._next_at_s = time.monotonic() + 1 / PICTURES_PER_S
            return self._picture

    def _is_new(self) -> bool:
        """Nothing came since, or too little time passed for another one."""
        assert self._picture is not None
        is_last = self._picture.number == self._exchange.latest[0]
        return is_last or time.monotonic() < self._next_at_s


def encode(image: np.ndarray) -> bytes:
    """Returns a JPEG of a uint8 BGR ``[H, W, 3]`` or gray ``[H, W]`` image."""
    height, width = image.shape[:2]
    if width > MAX_WIDTH_PX:
        size = MAX_WIDTH_PX, max(1, round(height * MAX_WIDTH_PX / width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()


class Viewers:
    """The places for those who stay connected.

    Attributes:
        most: Places.
        count: Taken ones.
    """

    def __init__(self, most: int) -> None:
        self.most, self.count = most, 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Takes a place for as long as the ``with`` block runs.

        Raises:
            FullError: None is left.
        """
        if self.count >= self.most:
            raise FullError(f"{self.count} viewers watch already; close a page and try again")
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


class Status:
    """What the page shows beside the results, read at most once in ``STATUS_EVERY_S``.

    Args:
        viewers: Who watches.
        health: See ``open_server``.
        about: What runs, as the page shows it: names and values.
        recording: Whether the run writes frames to a file.
    """

    def __init__(
        self,
        viewers: Viewers,
        health: Callable[[], Mapping[str, Any]],
        *,
        about: Mapping[str, str],
        recording: bool,
    ) -> None:
        self._viewers, self._health = viewers, health
        self._fixed = {"recording": recording, "about": dict(about)}
        self._document: dict[str, Any] = {}
        self._read_at_s = float("-inf")

    def read(self) -> dict[str, Any]:
        """Returns plain values; the same object until it is read anew."""
        now_s = time.monotonic()
        if now_s - self._read_at_s >= STATUS_EVERY_S:
            self._read_at_s = now_s
            health = dict(self._health())
            self._document = {"health": health, "viewers": self._viewers.count, **self._fixed}
        return self._document
