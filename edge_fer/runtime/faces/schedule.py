"""When to look for faces, and when to go on with those that are known."""

import cv2
import numpy as np

WITH_FACES_S = 0.3
WITHOUT_FACES_S = 0.1
RESTLESS_S = 0.15
#: A detection at the latest after so many frames, whatever their times say.
MOST_FRAMES = 30
#: Mean change of a thumbnail, in gray levels, from which a picture is another scene.
CUT_LEVELS = 25.0
_SLACK_S = 1e-3
_THUMBNAIL = (16, 12)


class Schedule:
    """Says when a detection is due.

    Args:
        every: Frames from one to the next; 0 goes by time.
    """

    def __init__(self, every: int = 0) -> None:
        self._every = every
        self._frames, self._last_s = 0, 0.0
        self._first = True

    def due(self, t_s: float, *, faces: bool, restless: bool = False, doubt: bool = False) -> bool:
        """Counts a frame and says whether to look for faces in it.

        Args:
            t_s: Time of the frame in seconds.
            faces: Whether any is known.
            restless: Whether one of them may leave, or come back, soon.
            doubt: Whether there is a reason not to wait.
        """
        self._frames += 1
        if self._first or doubt:
            return True
        if self._every:
            return self._frames >= self._every
        wait_s = RESTLESS_S if restless else WITH_FACES_S if faces else WITHOUT_FACES_S
        passed_s = t_s - self._last_s
        return not 0 <= passed_s < wait_s - _SLACK_S or self._frames >= MOST_FRAMES

    def detected(self, t_s: float) -> None:
        """Notes a detection; without this, after an error, the next frame is searched too."""
        self._frames, self._last_s, self._first = 0, t_s, False


class SceneCut:
    """Notices that a picture has little in common with the one before."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def seen(self, gray: np.ndarray) -> bool:
        """Compares thumbnails; a change of brightness alone is no cut.

        Args:
            gray: uint8 ``[h, w]``.
        """
        now = cv2.resize(gray, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        before, self._before = self._before, now
        if before is None:
            return False
        change = now - before
        return float(np.abs(change - change.mean()).mean()) > CUT_LEVELS
