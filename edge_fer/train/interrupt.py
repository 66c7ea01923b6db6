"""Ctrl-C at a moment that suits the work."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Holds back Ctrl-C while the body runs.

    Yields:
        A function that raises ``KeyboardInterrupt`` if there was a Ctrl-C; the body calls it where
        it may stop. A second Ctrl-C acts at once.
    """
    asked = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, previous)

    def raise_if_asked() -> None:
        if asked:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield raise_if_asked
        return
    previous = signal.signal(signal.SIGINT, note)
    try:
        yield raise_if_asked
    finally:
        signal.signal(signal.SIGINT, previous)
