"""A camera read in a thread of its own, of which only the newest frame is kept.

A slow reader therefore loses frames, and never works through a queue of old ones.
"""

import logging
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import NamedTuple, Protocol

import numpy as np

from edge_fer.errors import SourceError

_log = logging.getLogger("edge_fer.sources")

#: So many frames in a row that cannot be decoded are the end.
MAX_BAD_FRAMES = 10
#: ``close`` waits so long for a read that blocks.
JOIN_S = 2.0


class Camera(Protocol):
    """What gives pictures by the clock. All but ``interrupt`` are called from one thread.

    Attributes:
        fps: Nominal frames per second.
    """

    fps: float

    def read(self) -> np.ndarray | None:
        """Waits for the next picture; ``None`` is one that could not be decoded.

        Raises:
            EOFError: There are no more, and there will be none.
            Exception: Anything else means that the camera is lost; the text says why.
        """

    def interrupt(self) -> None:
        """Makes a ``read`` that blocks in another thread return soon, if there is a way."""

    def close(self) -> None:
        """Frees the device."""


class Shot(NamedTuple):
    """A picture as it came from the camera.

    Attributes:
        image: As in ``Frame``.
        number: So many pictures the camera has given, lost ones and this one included.
        read_s: When it had been read, by the monotonic clock.
    """

    image: np.ndarray
    number: int
    read_s: float


class Latest:
    """Opens a camera and reads it, both in a thread of its own, into a single slot.

    Locks hand the pictures over, which costs half of what a ``Condition`` does.

    Args:
        open_camera: Opens the camera.
        every_frame: Wait until each picture has been taken instead of replacing it.
    """

    def __init__(self, open_camera: Callable[[], Camera], *, every_frame: bool = False) -> None:
        self._open, self._every_frame = open_camera, every_frame
        self._guard = threading.RLock()  # a signal handler may close what it interrupted
        self._news = threading.Lock()  # free while there is something to take
        self._news.acquire()
        self._room = threading.Lock()  # free while every frame may be offered
        self._camera: Camera | None = None
        self._shot: Shot | None = None
        self._error: Exception | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="edge-fer camera", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the thread is there: after ``close``, only if it hangs in the camera."""
        return self._thread.is_alive()

    def take(self, timeout_s: float) -> Shot | None:
        """Returns the newest picture that was not taken yet, waiting for one; ``None`` if closed.

        Raises:
            SourceError: None came in time.
            Exception: What the camera raised.
        """
        self._wait_for_news(timeout_s)
        with self._guard:
            shot, self._shot = self._shot, None
            self._news.acquire(blocking=False)
            if self._closing or self._error is not None:
                self._announce()
            if self._closing:
                return None
            if shot is None:
                assert self._error is not None
                raise self._error
            if self._every_frame and self._room.locked():
                self._room.release()
            return shot

    def close(self) -> None:
        """Stops reading; the thread frees the camera, later if it hangs in it. From any thread."""
        with self._guard:
            self._closing = True
            self._announce()
            if self._room.locked():
                self._room.release()
            camera = self._camera
        if camera is not None:
            camera.interrupt()
        self._thread.join(JOIN_S)

    def _wait_for_news(self, timeout_s: float) -> None:
        until_s = time.monotonic() + timeout_s
        left_s = timeout_s
        while not self._news.acquire(timeout=max(0.0, left_s)):
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise SourceError(f"no frame for {timeout_s:.3g} s")

    def _announce(self) -> None:
        if self._news.locked():
            self._news.release()

    def _run(self) -> None:
        try:
            camera = self._open()
            try:
                self._read(camera)
            finally:
                camera.close()
        except Exception as error:
            with self._guard:
                self._error = error
                self._announce()

    def _read(self, camera: Camera) -> None:
        with self._guard:
            self._camera = camera
        bad = 0
        for number in count(1):
            if self._closing:
                return
            image = camera.read()
            if image is not None and image.size:
                bad = 0
                self._offer(Shot(image, number, time.monotonic()))
                continue
            bad += 1
            if bad == MAX_BAD_FRAMES:
                raise SourceError(f"{bad} reads in a row gave no frame")

    def _offer(self, shot: Shot) -> None:
        if self._every_frame:
            self._room.acquire()
        with self._guard:
            self._shot = shot
            self._announce()
