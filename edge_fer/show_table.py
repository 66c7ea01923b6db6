"""Tables and figures as people see them, for all of ``edge_fer.show*``."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from edge_fer.report.table import printable


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table on standard output: the first column to the left, figures to the right.

    Args:
        title: Above it.
        heads: Of the columns; all empty for a list of facts, which has no heads.
        rows: Cells as they are to be read.
    """
    bare = not any(heads)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=not bare)
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index == 0 or bare else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(printable, row))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False, markup=False).print(table)


def print_line(text: str) -> None:
    """Prints text as it is."""
    Console(highlight=False, markup=False, soft_wrap=True).print(printable(text))
