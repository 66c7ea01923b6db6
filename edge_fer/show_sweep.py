"""What ``edge-fer sweep`` prints."""

import sys
from collections.abc import Callable
from typing import Any

from edge_fer.report.table import percent
from edge_fer.show_table import print_line, print_table
from edge_fer.sweep.sweep import Step
from edge_fer.sweep.tables import failure_table, sweep_tables


def step_printer(*, quiet: bool) -> Callable[[Step], None]:
    """Returns a function that writes a line per ended trial on standard error."""
    return (lambda _: None) if quiet else (lambda step: line_printer(quiet=False)(_line(step)))


def line_printer(*, quiet: bool) -> Callable[[str], None]:
    """Returns a function that writes a line on standard error."""
    if quiet:
        return lambda _: None
    return lambda text: print(text, file=sys.stderr, flush=True)  # noqa: T201


def sweep_summary(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/sweep/1``."""
    for table in (*sweep_tables(document), failure_table(document)):
        if table:
            print_table(table.title, table.heads, table.rows)
    for terms in document["data_terms"]:
        print_line(f"* {terms}")


def duration(seconds: float) -> str:
    """Returns a time in the unit that suits it, e.g. ``12 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _line(step: Step) -> str:
    outcome = step.outcome
    if outcome.result is None:
        text = f"failed: {outcome.error}"
    else:
        took = duration(outcome.result["seconds"])
        test = outcome.result["test"]
        text = f"accuracy {percent(test['accuracy'])} %, UAR {percent(test['uar'])} %, {took}"
    left = f"; about {duration(step.seconds_left)} left" if step.done < step.planned else ""
    return f"[{step.done}/{step.planned}] {outcome.trial.id}: {text}{left}"
