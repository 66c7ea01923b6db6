"""One worker at a time in the folder of a trial, also when workers and nodes die.

A worker owns a trial as long as the lock file holds its token, and touches the file every few
seconds. A lock whose process is gone, or that nobody touched for a while by the waiter's own clock,
is taken over; its former owner, should it still run, finds another token within seconds and stops
without saving. Should two meanwhile have worked on one trial, its result is still one file,
replaced whole, that the driver reads once by the trial's id: nothing is ever counted twice.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LOCK_FILE = "lock.json"
BEAT_S = 5.0
STALE_S = 30.0
POLL_S = 0.2


class LostLockError(Exception):
    """Another worker has taken the trial over."""


class Lock:
    """The lock of a folder, once it is held; see ``held``."""

    def __init__(self, path: Path) -> None:
        self.path, self.token = path, secrets.token_hex(16)
        self._confirmed_at = time.monotonic()
        self._over = threading.Event()

    def check(self) -> None:
        """Raises ``LostLockError`` if the lock has gone to another; looks every few seconds."""
        if time.monotonic() - self._confirmed_at > BEAT_S:
            self.confirm()

    def confirm(self) -> None:
        """The same, and looks now."""
        if _owner(self.path).get("token") != self.token:
            raise LostLockError(f"{self.path}: taken over by another worker")
        self._confirmed_at = time.monotonic()

    def acquire(self, announce: Callable[[str], None]) -> None:
        """Waits for the lock; says whom for, once."""
        watch = _Watch(self.path)
        while not _create(self.path, self.token):
            if watch.abandoned():
                _remove(self.path, self.token)
                continue
            watch.say(announce)
            time.sleep(POLL_S)
        self._confirmed_at = time.monotonic()

    def beat(self) -> None:
        """Touches the file until ``release``; runs in a thread of its own."""
        while not self._over.wait(BEAT_S):
            if _owner(self.path).get("token") == self.token:
                with suppress(OSError):
                    os.utime(self.path)

    def release(self) -> None:
        """Ends the beat, and removes the file if it is still this worker's."""
        self._over.set()
        if _owner(self.path).get("token") == self.token:
            self.path.unlink(missing_ok=True)


@contextmanager
def held(folder: Path, announce: Callable[[str], None] = lambda _: None) -> Iterator[Lock]:
    """Holds the lock of a folder while the body runs.

    Args:
        folder: Made if it is not there.
        announce: Called with a line if another worker has to be waited for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder / LOCK_FILE)
    lock.acquire(announce)
    thread = threading.Thread(target=lock.beat, daemon=True)
    thread.start()
    try:
        yield lock
    finally:
        lock.release()
        thread.join()


class _Watch:
    """Another's lock, watched by this process's own clock."""

    def __init__(self, path: Path) -> None:
        self.path, self._seen, self._since = path, "", time.monotonic()
        self._said = False

    def abandoned(self) -> bool:
        """Whether its process is gone, or nobody touched it for ``STALE_S``."""
        owner = _owner(self.path)
        if owner.get("host") == _host() and not _is_alive(owner.get("pid")):
            return True
        seen = f"{owner.get('token')} {_touched_ns(self.path)}"
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() - self._since > STALE_S

    def say(self, announce: Callable[[str], None]) -> None:
        """Says once who is waited for."""
        if not self._said:
            owner = _owner(self.path)
            announce(
                f"{self.path.parent.name}: waiting for process {owner.get('pid')} on "
                f"{str(owner.get('host')).partition(' ')[0]}, which works on it"
            )
            self._said = True


def _create(path: Path, token: str) -> bool:
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(json.dumps({"token": token, "host": _host(), "pid": os.getpid()}))
    except FileExistsError:
        return False
    return True


def _remove(path: Path, token: str) -> None:
    """Moves a lock away under a name of one's own, so that only one waiter does it."""
    aside = path.with_name(f".{path.name}.{token}")
    with suppress(FileNotFoundError):
        path.rename(aside)
        aside.unlink()


def _owner(path: Path) -> dict[str, Any]:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _touched_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _host() -> str:
    """The machine, and the container in it: where a process number means the same process."""
    try:
        inside = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    except OSError:
        inside = ""
    return f"{socket.gethostname()} {inside}"


def _is_alive(pid: object) -> bool:
    """False for a process that is gone, or dead and only not yet collected by its parent."""
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].startswith(" Z")
    except ProcessLookupError:
        return False
    except OSError:
        return True
