"""Reads frames, and lives through those that cannot be read."""

import logging

from edge_fer.errors import EdgeFerError, ModelError
from edge_fer.runtime.frame import Frame
from edge_fer.runtime.recognizer import Recognizer
from edge_fer.runtime.result import Result
from edge_fer.runtime.service.health import Health

#: So many failures in a row are no accident.
MOST_FAILURES = 100

_log = logging.getLogger("edge_fer.reading")


class Reading:
    """A recognizer that skips a frame of a video on which something breaks.

    Args:
        recognizer: What reads.
        health: Where skipped frames are counted.
    """

    def __init__(self, recognizer: Recognizer, health: Health) -> None:
        self._recognizer, self._health = recognizer, health
        self._failed_in_a_row = 0
        self.skipped = 0

    def read(self, frame: Frame) -> Result | None:
        """Reads one frame; None if that failed.

        Raises:
            EdgeFerError: A photo could not be read, or ``MOST_FAILURES`` frames in a row.
        """
        try:
            result = self._recognizer.read(frame)
        except Exception as error:
            self._count(frame, error)
            return None
        self._failed_in_a_row = 0
        return result

    def _count(self, frame: Frame, error: Exception) -> None:
        reason = " ".join(str(error).split()) or type(error).__name__
        if frame.name:
            if isinstance(error, EdgeFerError):
                raise error
            raise ModelError(f"{frame.name}: cannot be read: {reason}") from error
        self.skipped += 1
        self._failed_in_a_row += 1
        self._health.error("frame skipped")
        _log.warning("a frame was skipped: %s", reason)
        if self._failed_in_a_row == MOST_FAILURES:
            raise ModelError(f"{MOST_FAILURES} frames in a row could not be read: {reason}")
