"""What ``edge-fer quantize`` prints."""

from typing import Any

from edge_fer.compress.document import DETECTOR_SCHEMA
from edge_fer.compress.tables import (
    costs_table,
    detector_table,
    files_table,
    gates_table,
    kept_table,
)
from edge_fer.report.table import Table
from edge_fer.show_table import print_line, print_table


def quantization_tables(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/quantize/1``, or ``edge-fer/quantize-detector/1``."""
    if document["schema"] == DETECTOR_SCHEMA:
        tables: tuple[Table | None, ...] = (detector_table(document),)
    else:
        makers = (files_table, costs_table, kept_table, gates_table)
        tables = tuple(make(document) for make in makers)
    for table in filter(None, tables):
        print_table(table.title, table.heads, table.rows)
    seconds = sum(document["stages_s"].values())
    stages = ", ".join(f"{name} {s:.1f} s" for name, s in document["stages_s"].items())
    print_line(f"{seconds:.1f} s: {stages}")
