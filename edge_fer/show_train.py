"""Progress of a training run, for people."""

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class TrainingProgress:
    """A bar per epoch with live loss and accuracy, and a line per finished epoch."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), disable=quiet)
        self._task = self._progress.add_task("", total=1)

    def __enter__(self) -> "TrainingProgress":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def on_step(self, step: dict[str, Any]) -> None:
        """Moves the bar."""
        accuracy = step["accuracy"]
        text = f"{step['stage']} {step['epoch'] + 1}/{step['epochs']}  loss {step['loss']:.3f}" + (
            "" if accuracy is None else f"  accuracy {accuracy:.1%}"
        )
        self._progress.update(
            self._task, description=text, total=step["steps"], completed=step["step"]
        )

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Prints the epoch's figures."""
        if self._quiet:
            return
        figures = (
            f"validation loss {record['validation_loss']:.4f}"
            if record["validation_accuracy"] is None
            else f"train {record['train_accuracy']:.2%}  "
            f"validation {record['validation_accuracy']:.2%}"
        )
        speed = record["images_per_s"]
        self._progress.print(
            f"{record['stage']} {record['epoch'] + 1:3d}  {figures}  {speed:.0f} images/s"
        )
