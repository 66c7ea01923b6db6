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
        self._task = self._progress.add_task("", total=1, visible=False)

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

    def on_read(self, name: str, done: int, count: int) -> None:
        """Moves the bar of what comes before training: pictures of a set that are looked at."""
        self._move(name, done, count)

    def on_step(self, step: dict[str, Any]) -> None:
        """Moves the bar."""
        accuracy = step["accuracy"]
        text = f"{step['stage']} {step['epoch'] + 1}/{step['epochs']}  loss {step['loss']:.3f}" + (
            "" if accuracy is None else f"  accuracy {accuracy:.1%}"
        )
        self._move(text, step["step"], step["steps"])

    def _move(self, text: str, done: int, count: int) -> None:
        self._progress.update(
            self._task, description=text, completed=done, total=count, visible=True
        )

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Prints the epoch's figures."""
        if self._quiet:
            return
        figures = _figures(record)
        speed = record["images_per_s"]
        self._progress.print(
            f"{record['stage']} {record['epoch'] + 1:3d}  {figures}  {speed:.0f} images/s"
        )


def _figures(record: dict[str, Any]) -> str:
    if "validation_ap" in record:
        return f"loss {record['train_loss']:.3f}  average precision {record['validation_ap']:.2%}"
    if record["validation_accuracy"] is None:
        return f"validation loss {record['validation_loss']:.4f}"
    return f"train {record['train_accuracy']:.2%}  validation {record['validation_accuracy']:.2%}"
