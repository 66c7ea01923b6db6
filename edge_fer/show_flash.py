"""What people see while a card is made."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from edge_fer.errors import EdgeFerError


class FlashProgress:
    """A bar for each stage on standard error; it makes room for the question."""

    def __init__(self, *, quiet: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        console = Console(stderr=True, quiet=quiet)
        self._bars = Progress(*columns, TimeRemainingColumn(), console=console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "FlashProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tasks:
            self._bars.stop()

    def show(self, stage: str, done_bytes: int, total_bytes: int) -> None:
        """Moves the bar of a stage."""
        if not self._tasks:
            self._bars.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total_bytes)
        self._bars.update(self._tasks[stage], completed=done_bytes, total=total_bytes)

    def ask(self, question: str) -> str:
        """Asks on the terminal.

        Raises:
            EdgeFerError: There is none.
        """
        if not sys.stdin.isatty():
            raise EdgeFerError("without a terminal to ask on, a disk needs --yes")
        self._bars.stop()
        answer = input(question)
        self._bars.start()
        return answer
