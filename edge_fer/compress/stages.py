"""Stages of a job: announced when they start, timed when they end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stages:
    """Times the stages of a job and announces each.

    Attributes:
        announce: Called with a stage's name when it starts, and with its progress.
        seconds: Duration of each finished stage.
    """

    announce: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Runs the body as one stage."""
        self.announce(name)
        started_at = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started_at

    def progress(self, what: str, done: int, total: int, every: int = 1) -> None:
        """Announces each ``every``-th step, and the last."""
        if done % every == 0 or done == total:
            self.announce(f"{what}: {done} of {total}")
