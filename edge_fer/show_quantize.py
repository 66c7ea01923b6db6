"""What ``edge-fer quantize`` prints."""

from typing import Any

from edge_fer.compress.tables import costs_table, files_table, gates_table, kept_table
from edge_fer.show_table import print_line, print_table


def quantization_tables(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/quantize/1``."""
    tables = (files_table, costs_table, kept_table, gates_table)
    for table in filter(None, (make(document) for make in tables)):
        print_table(table.title, table.heads, table.rows)
    seconds = sum(document["stages_s"].values())
    stages = ", ".join(f"{name} {s:.1f} s" for name, s in document["stages_s"].items())
    print_line(f"{seconds:.1f} s: {stages}")
