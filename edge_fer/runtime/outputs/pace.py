"""Not more than so many a second."""

import time
from collections.abc import Callable


class Pace:
    """Says which frames to let through so that ``rate_hz`` is kept on the average.

    A schedule with fixed steps, not a least distance: 10 of 25 frames a second are 10, not 8.3.

    Args:
        rate_hz: Frames per second; 0 lets all through.
        clock: Monotonic seconds.
    """

    def __init__(self, rate_hz: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._period_s = 1 / rate_hz if rate_hz else 0.0
        self._clock = clock
        self._due_s = float("-inf")

    def due(self) -> bool:
        """Whether the frame of this moment is one of them; asking counts."""
        now_s = self._clock()
        late_s = now_s - self._due_s
        if late_s < 0:
            return False
        self._due_s = now_s + self._period_s - (late_s if late_s < self._period_s else 0.0)
        return True
