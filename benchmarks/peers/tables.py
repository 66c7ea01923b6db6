"""The document as Markdown tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edge_fer.bench.formats import markdown
from edge_fer.bench.tables import number
from edge_fer.report.table import Table, interval, percent

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]

_TIMES: tuple[Column, ...] = (
    ("p50 ms", lambda row: number(row["p50_ms"])),
    ("p90 ms", lambda row: number(row["p90_ms"])),
    ("p99 ms", lambda row: number(row["p99_ms"])),
    ("mean ms", lambda row: number(row["mean_ms"])),
    ("CPU ms", lambda row: number(row["cpu_ms"])),
    ("x edge-fer", lambda row: number(row["ratio"])),
    ("95 %", lambda row: _bounds(row["ratio_ci95"])),
)
_FOUND: tuple[Column, ...] = (
    ("faces a frame", lambda row: number(row["faces_per_frame"])),
    ("frames with a face %", lambda row: percent(row["with_face"])),
)
_START: tuple[Column, ...] = (
    ("first label ms", lambda row: number(row["first_label_ms"], digits=0)),
    ("RSS MB", lambda row: number(row["rss_mb"], digits=0)),
    ("peak RSS MB", lambda row: number(row["peak_rss_mb"], digits=0)),
    ("on disk MB", lambda row: number(row["disk_mb"], digits=0)),
)
_ACCURACY: tuple[Column, ...] = (
    ("accuracy %", lambda row: percent(row["accuracy"])),
    ("95 %", lambda row: interval(row["accuracy_ci95"])),
    ("without repeats %", lambda row: percent(row["accuracy_without_leaks"])),
    ("UAR %", lambda row: percent(row["uar"])),
)


def as_markdown(document: Mapping[str, Any]) -> str:
    """Returns a table for each part that the document has."""
    parts = (
        ("classifier", "Classifier alone, a 48x48 face", _TIMES),
        ("pipeline", "Whole pipeline, 640x480 frames", (*_TIMES, *_FOUND)),
        ("starts", "Cold start, memory and size", _START),
    )
    tables = [_table(title, document[key], of) for key, title, of in parts if key in document]
    if "accuracy" in document:
        accuracy = document["accuracy"]
        title = f"Accuracy on {accuracy['data']}, {accuracy['n']} faces"
        tables.append(_table(title, accuracy["rows"], _ACCURACY))
    return markdown(tables)


def _table(title: str, rows: Sequence[Row], columns: Sequence[Column]) -> Table:
    return Table(
        title=title,
        heads=("", *(head for head, _ in columns)),
        rows=tuple((str(row["name"]), *(cell(row) for _, cell in columns)) for row in rows),
    )


def _bounds(bounds: Sequence[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.2f}-{bounds[1]:.2f}"
