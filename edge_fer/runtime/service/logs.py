"""What is logged, and how: one line to stderr, for people or as JSON.

Trouble that comes back with every frame is told once, then counted once a minute.
"""

import json
import logging
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TextIO

REPEAT_AFTER_S = 60.0
MAX_KINDS = 256
_HANDLER = "edge-fer"
#: Level prefixes that journald understands.
_JOURNAL_LEVELS = {
    "DEBUG": "<7>",
    "INFO": "<6>",
    "WARNING": "<4>",
    "ERROR": "<3>",
    "CRITICAL": "<2>",
}


def set_up_logging(
    *,
    json_lines: bool = False,
    verbose: bool = False,
    stream: TextIO | None = None,
    environment: Mapping[str, str] = os.environ,
) -> logging.Handler:
    """Sends what ``edge_fer`` logs to stderr; a second call replaces the first.

    Args:
        json_lines: One JSON object a line: ``ts`` (UTC), ``level``, ``part``, ``message``, and
            ``repeats`` and ``exception`` where they apply.
        verbose: Debugging too, not only what changes and what goes wrong.
        stream: Instead of stderr.
        environment: Where systemd puts ``JOURNAL_STREAM``: then lines have journald's level prefix
            and no time, which journald adds.

    Returns:
        The handler, to remove it again.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER)
    handler.addFilter(RepeatFilter())
    journal = _goes_to_journal(stream, environment)
    formatter = JsonFormatter() if json_lines else TextFormatter(journal=journal)
    handler.setFormatter(formatter)
    if stream.isatty() and not json_lines:
        handler.terminator = "\x1b[K\n"
    logger = logging.getLogger("edge_fer")
    for old in [h for h in logger.handlers if h.get_name() == _HANDLER]:
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    return handler


class RepeatFilter(logging.Filter):
    """Lets a warning through once, then once a minute with ``record.repeats``, how often it came.

    Warnings are the same if they differ in numbers only: logger, unformatted message and arguments
    but ``int`` and ``float``. The last ``MAX_KINDS`` are known.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be told now."""
        if record.levelno < logging.WARNING:
            return True
        key, now_s = _kind(record), self._clock()
        with self._lock:
            told_s, held_back = self._kinds.pop(key, (float("-inf"), 0))
            tell = now_s - told_s >= REPEAT_AFTER_S
            self._kinds[key] = (now_s, 0) if tell else (told_s, held_back + 1)
            if len(self._kinds) > MAX_KINDS:
                self._kinds.popitem(last=False)
        if tell and held_back:
            record.__dict__["repeats"] = held_back + 1
        return tell


def _kind(record: logging.LogRecord) -> tuple[str, ...]:
    arguments = record.args if isinstance(record.args, tuple) else ()
    words = (str(value) for value in arguments if not isinstance(value, int | float))
    return (record.name, str(record.msg), *words)


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        document: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname.lower(),
            "part": _part(record),
            "message": record.getMessage(),
        }
        if repeats := getattr(record, "repeats", 0):
            document["repeats"] = repeats
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document)


class TextFormatter(logging.Formatter):
    """One line for people, whatever the message holds.

    Args:
        journal: Start with journald's level, not with the time.
    """

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        time = f"{self.formatTime(record)} "
        start = _JOURNAL_LEVELS[record.levelname] if self._journal else time
        text = f"{record.levelname.lower()} {_part(record)}: {record.getMessage()}"
        if repeats := getattr(record, "repeats", 0):
            text += f" ({repeats} times since it was last told)"
        if record.exc_info and record.exc_info[1]:
            text += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
        return start + " ".join(text.split())


def _goes_to_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether ``JOURNAL_STREAM`` (device:inode) is this very stream."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _part(record: logging.LogRecord) -> str:
    return record.name.removeprefix("edge_fer.")
