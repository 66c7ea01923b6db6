"""What people see of ``edge-fer bench``."""

import sys
from collections.abc import Callable
from typing import Any

from edge_fer.bench.formats import FORMATS
from edge_fer.bench.tables import bench_tables, comparison_table
from edge_fer.report.table import Table, printable
from edge_fer.show_table import print_line, print_table


def print_bench(document: dict[str, Any], format_: str) -> None:
    """Prints ``edge-fer/bench/1``: tables on standard output, what is missing on standard error.

    Args:
        document: The benchmark.
        format_: ``table``, for a terminal, or a key of ``FORMATS``.
    """
    _print_tables(bench_tables(document), format_)
    _complain(document)


def print_comparison(document: dict[str, Any], format_: str) -> None:
    """Prints ``edge-fer/bench-compare/1``."""
    _print_tables([comparison_table(document)], format_)
    for side in ("before", "after"):
        for row in document[f"only_{side}"]:
            what = f"{row['file']} on {row['engine']}, {row['threads']} threads"
            sys.stderr.write(f"only {side}: {what}\n")
    _complain(document)


def minute_printer(*, quiet: bool) -> Callable[[int], None]:
    """Returns a function that shows how many minutes are done."""

    def show(done: int) -> None:
        if not quiet:
            sys.stderr.write(f"... minute {done} done\n")

    return show


def _print_tables(tables: list[Table], format_: str) -> None:
    if format_ in FORMATS:
        sys.stdout.write(printable(FORMATS[format_](tables)))
        return
    for table in tables:
        print_line(table.title)
        print_table("", table.heads, table.rows)
        print_line("")


def _complain(document: dict[str, Any]) -> None:
    for line in document.get("skipped", ()):
        sys.stderr.write(f"skipped: {line}\n")
    for line in document["warnings"]:
        sys.stderr.write(f"warning: {line}\n")
