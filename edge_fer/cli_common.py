"""What commands share: options, the line that was typed, documents for machines."""

import json
import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edge_fer.train.loop import Run

DETECTOR_HELP = "auto, edge-fer, edge-fer:160, yunet, haar, or a detector's bundle or .onnx file."
Data = Annotated[str, typer.Option(help="Dataset, NAME:PATH, e.g. fer2013:~/fer2013.csv.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is already there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print results only, no progress.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]


def command_line() -> str:
    """Returns what was typed, as a shell takes it, without ``--resume``."""
    return shlex.join(["edge-fer", *(part for part in sys.argv[1:] if part != "--resume")])


def print_json(document: Mapping[str, Any]) -> None:
    """Prints a document on one line."""
    typer.echo(json.dumps(document))


def fit_showing(run: "Run", *, quiet: bool) -> dict[str, Any]:
    """Trains a run to its end with its progress on the terminal; returns what ``Run.fit`` does."""
    from edge_fer.show_train import TrainingProgress

    with TrainingProgress(quiet=quiet) as progress:
        return run.fit(progress.on_step, progress.on_epoch)
