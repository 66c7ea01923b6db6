"""What takes results, and the two kinds that every run may need.

The others are imported where they are asked for: ``csv_rows``, ``publish``.
"""

from typing import Protocol

from edge_fer.runtime.outputs.lines import JsonLines, TextLines
from edge_fer.runtime.outputs.recorders import open_recorder
from edge_fer.runtime.result import Result

__all__ = ["JsonLines", "Sink", "TextLines", "open_recorder"]


class Sink(Protocol):
    """Takes results, then is closed."""

    def write(self, result: Result) -> None:
        """Takes one result."""

    def close(self) -> None:
        """Finishes the output."""
