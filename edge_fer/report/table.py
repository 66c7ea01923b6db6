"""A table as people read it, on a terminal or on a page."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as text; the first column is a name, the others are figures.

    Attributes:
        title: Above the table.
        heads: Of the columns.
        rows: Each as long as ``heads``.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def percent(fraction: float | None) -> str:
    """Returns a fraction in percent, e.g. ``69.60``."""
    return "-" if fraction is None else f"{100 * fraction:.2f}"


def interval(bounds: Sequence[float] | None) -> str:
    """Returns an interval of fractions in percent, e.g. ``68.1-71.1``."""
    return "-" if bounds is None else f"{100 * bounds[0]:.1f}-{100 * bounds[1]:.1f}"


def signed_interval(bounds: Sequence[float]) -> str:
    """Returns an interval of differences in percentage points, e.g. ``-0.4 .. +1.2``."""
    return f"{100 * bounds[0]:+.2f} .. {100 * bounds[1]:+.2f}"


def printable(text: str) -> str:
    """Writes bytes of a file's name that are not UTF-8 as escapes."""
    return text.encode(errors="backslashreplace").decode()
