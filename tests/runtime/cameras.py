"""Cameras that do what a test tells them."""

import threading
import time
from collections import deque

import numpy as np

BLOCK = object()


def picture(value, size=(4, 6)):
    return np.full((*size, 3), value, np.uint8)


def eventually(condition, seconds=5.0):
    """Polls until ``condition()`` holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.002)


class FakeCamera:
    """Gives what it is told: pictures, ``None``, or exceptions to raise; waits when it has none.

    ``deaf`` ones stay in ``read`` when they are interrupted, until they are released.
    """

    fps = 25.0

    def __init__(self, *items, deaf=False):
        self._items, self._deaf = deque(items), deaf
        self._changed = threading.Condition()
        self.asked = 0
        self.interrupted = self.released = self.closed = False
        self.threads = set()

    def give(self, *items):
        with self._changed:
            self._items.extend(items)
            self._changed.notify_all()

    def release(self):
        with self._changed:
            self.released = True
            self._changed.notify_all()

    def read(self):
        with self._changed:
            self.threads.add(threading.current_thread())
            self.asked += 1
            self._changed.wait_for(self._may_go)
            item = self._items.popleft() if self._items else None
        if isinstance(item, Exception):
            raise item
        return item

    def _may_go(self):
        return self._items or self.released or (self.interrupted and not self._deaf)

    def interrupt(self):
        with self._changed:
            self.interrupted = True
            self._changed.notify_all()

    def close(self):
        assert not self.closed
        self.closed = True
        self.threads.add(threading.current_thread())
