"""A whole sweep: plan, run what is open, sum up."""

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fer.errors import OutputError
from edge_fer.files import write_atomic
from edge_fer.sweep.check import plan
from edge_fer.sweep.outcome import Outcome, folder_of, forget, read_outcome
from edge_fer.sweep.request import Sweep
from edge_fer.sweep.runners import Runner
from edge_fer.sweep.summary import summarise
from edge_fer.sweep.tables import csv_rows
from edge_fer.sweep.trials import Trial
from edge_fer.train.folder import STATE_FILE

DOCUMENT_FILE = "sweep.json"
CSV_FILE = "sweep.csv"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A trial that has just ended.

    Attributes:
        outcome: How.
        done: Trials that are finished or failed by now, in all.
        planned: All trials.
        seconds_left: Until the last one ends, going by those of this run.
    """

    outcome: Outcome
    done: int
    planned: int
    seconds_left: float


def run_sweep(
    sweep: Sweep,
    out: Path,
    runner: Runner,
    command: str,
    on_step: Callable[[Step], None],
    *,
    resume: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Runs every trial of a sweep that is not finished, and sums all of them up.

    Args:
        sweep: What to do.
        out: Folder: ``trials/ID/`` for each, ``sweep.json`` and ``sweep.csv``.
        runner: Where trials run.
        command: The command line, for the document.
        on_step: Called after each trial.
        resume: Go on with what is in the folder.
        force: Begin again.

    Returns:
        The document, ``edge-fer/sweep/1``; see ``summary.summarise``.

    Raises:
        OutputError: There is a sweep in the folder, and neither ``resume`` nor ``force``.
        EdgeFerError: Anything that the sweep names is not there.
        KeyboardInterrupt: After running trials are saved and the document is written.
    """
    trials = plan(sweep)
    prepare(out, trials, resume=resume, force=force)
    try:
        _run(out, trials, runner, on_step)
    finally:
        document = _conclude(sweep, out, trials, command)
    return document


def prepare(out: Path, trials: Sequence[Trial], *, resume: bool, force: bool) -> None:
    """Makes a folder ready.

    Raises:
        OutputError: There is a sweep in it, and neither ``resume`` nor ``force``.
    """
    if (out / "trials").exists() and not (resume or force):
        raise OutputError(f"{out} holds a sweep; give --resume to go on, --force to replace")
    if force and not resume:
        for trial in trials:
            forget(out, trial)
            (folder_of(out, trial) / STATE_FILE).unlink(missing_ok=True)


def _run(
    out: Path, trials: Sequence[Trial], runner: Runner, on_step: Callable[[Step], None]
) -> None:
    left = [trial for trial in trials if read_outcome(out, trial).result is None]
    started_at = time.monotonic()
    for ended, outcome in enumerate(runner(left, out), 1):
        per_trial_s = (time.monotonic() - started_at) / ended
        on_step(
            Step(
                outcome=outcome,
                done=len(trials) - len(left) + ended,
                planned=len(trials),
                seconds_left=per_trial_s * (len(left) - ended),
            )
        )


def _conclude(sweep: Sweep, out: Path, trials: Sequence[Trial], command: str) -> dict[str, Any]:
    outcomes = [read_outcome(out, trial) for trial in trials]
    document = summarise(sweep, outcomes, out, command)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    write_atomic(out / DOCUMENT_FILE, lambda file: file.write_text(text, encoding="utf-8"))
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(csv_rows(document))
    write_atomic(out / CSV_FILE, lambda file: file.write_text(lines.getvalue(), encoding="utf-8"))
    return document
