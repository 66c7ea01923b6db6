"""Running as a service: readiness and watchdog for systemd, and a clean stop on signals.

A first SIGINT (Ctrl-C) or SIGTERM stops cleanly: outputs are finished, the exit code is 0 (or 1, 2
as for any run). A second one ends the process at once, by that signal: a shell shows 130 for
SIGINT, 143 for SIGTERM.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

STATUS_EVERY_S = 10.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_log = logging.getLogger("edge_fer.service")


class SystemdNotifier:
    """Tells systemd how the service fares (``Type=notify``); without systemd it does nothing.

    Args:
        environment: Where systemd puts ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._watchdog_s = _watchdog_s(environment)
        self._every_s = min(STATUS_EVERY_S, self._watchdog_s / 4 or STATUS_EVERY_S)
        self._next_s = float("-inf")
        self._last_frame: int | None = None
        self._socket = _open_socket(environment.get("NOTIFY_SOCKET", ""))

    def ready(self) -> None:
        """Says that start-up is over."""
        self._send("READY=1")

    def frame(self, index: int, describe: Callable[[], str]) -> None:
        """Feeds the watchdog, if the frame is another one than at the last call.

        Call it after every frame; it sends four times within the watchdog's time, and at least
        every ``STATUS_EVERY_S``.

        Args:
            index: Of the frame.
            describe: Returns the line that ``systemctl status`` shows.
        """
        if self._socket is None or index == self._last_frame:
            return
        self._last_frame = index
        now_s = self._clock()
        if now_s >= self._next_s:
            self._next_s = now_s + self._every_s
            self._send(*self._watchdog_lines(), f"STATUS={' '.join(describe().split())}")

    def stopping(self) -> None:
        """Says that the service is about to end."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Closes the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _watchdog_lines(self) -> list[str]:
        return ["WATCHDOG=1"] if self._watchdog_s else []

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send("\n".join(lines).encode())
        except OSError as error:
            what = lines[0].partition("=")[0]
            _log.warning("systemd was not told %s: %s", what, error.strerror)


class StopRequest:
    """Whether a stop was asked for, and where it may not interrupt: in ``with stop.deferred:``.

    Attributes:
        requested: A signal has come.
        deferred: A ``with`` block that a signal does not interrupt: ``KeyboardInterrupt`` is
            raised at its end instead.
    """

    def __init__(self) -> None:
        self.requested = False
        self.deferred = _Deferred(self)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Asks for a clean stop; the second time, ends the process by the signal."""
        if self.requested:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            os._exit(128 + number)  # a container's first process survives its own signals
        self.requested = True
        if not self.deferred.depth:
            raise KeyboardInterrupt


class _Deferred:
    def __init__(self, stop: StopRequest) -> None:
        self._stop, self.depth = stop, 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.depth -= 1
        if self._stop.requested and not self.depth and error is None:
            raise KeyboardInterrupt


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Makes SIGTERM the same clean stop as Ctrl-C: ``KeyboardInterrupt`` in the main thread.

    The handlers that were there come back at the end. In another thread than the main one, where
    Python takes no signals, nothing is changed.
    """
    stop = StopRequest()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, stop.on_signal) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open_socket(address: str) -> socket.socket | None:
    """Connects to a path, or to an abstract name, which starts with ``@``."""
    if not address:
        return None
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    channel.setblocking(False)
    try:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
    except OSError as error:
        channel.close()
        _log.warning("NOTIFY_SOCKET: %s: %s", address, error)
        return None
    return channel


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """Seconds of the watchdog; 0 if there is none, or it is for another process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdecimal() else 0.0
