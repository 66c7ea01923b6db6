"""What ``edge-fer evaluate`` prints."""

from typing import Any

from edge_fer.evaluate.tables import (
    class_table,
    classes_table,
    comparison_table,
    names_of,
    remarks,
    robustness_table,
    subset_table,
    summary_table,
    temperature_table,
)
from edge_fer.show_table import print_line, print_table


def evaluation_tables(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/evaluate/1``; per class and disturbed for the first result only."""
    first = document["results"][0]
    tables = (
        summary_table(document),
        subset_table(document),
        class_table(first, names_of(document)[0]),
        robustness_table(first, names_of(document)[0]),
        comparison_table(document),
        classes_table(document),
        temperature_table(document),
    )
    for table in tables:
        if table:
            print_table(table.title, table.heads, table.rows)
    for line in remarks(document):
        print_line(f"* {line}")
