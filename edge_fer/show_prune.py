"""What people see of a pruning."""

from typing import Any

from edge_fer.report.table import percent
from edge_fer.show_table import print_line, print_table


def prune_tables(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/prune/1``: the widths of every layer, the steps, and before and after."""
    _layers_table(document)
    if document["validation"]:
        _steps_table(document)
    rows = [_figures_row(name, document[name]) for name in ("before", "after")]
    print_table(f"{document['checkpoint']} -> {document['out']}", _heads(document), rows)
    share = 1 - document["after"]["macs"] / document["before"]["macs"]
    print_line(f"{share:.1%} of the MACs are gone")


def sweep_table(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/prune-sweep/1``, a line per point."""
    rows = [
        [
            f"{point['ratio']:g}",
            f"{point['params']:,}",
            f"{point['macs'] / 1e6:.2f}",
            f"{point['size_mb']:.3f}",
            percent(point["accuracy_pruned"]),
            percent(point["accuracy"]),
        ]
        for point in document["points"]
    ]
    heads = ["ratio", "params", "MACs M", "MB", "after the cut %", "accuracy %"]
    print_table(f"{document['model']} on {document['validation']}", heads, rows)


def _layers_table(document: dict[str, Any]) -> None:
    rows = [
        [
            layer["name"],
            layer["kind"],
            "x".join(map(str, layer["before"])),
            "x".join(map(str, layer["after"])),
            f"{layer['macs_before'] / 1e6:.3f}",
            f"{layer['macs_after'] / 1e6:.3f}",
        ]
        for layer in document["layers"]
    ]
    heads = ["layer", "type", "in x out", "pruned", "MACs M", "pruned"]
    print_table(document["model"], heads, rows)


def _steps_table(document: dict[str, Any]) -> None:
    rows = [
        [
            str(step["step"]),
            f"{step['params']:,}",
            f"{step['macs'] / 1e6:.2f}",
            percent(step["accuracy_pruned"]),
            percent(step["accuracy_tuned"]),
        ]
        for step in document["steps"]
    ]
    heads = ["step", "params", "MACs M", "pruned %", "trained %"]
    print_table(f"Accuracy on {document['validation']}", heads, rows)


def _heads(document: dict[str, Any]) -> list[str]:
    heads = ["", "params", "MACs M", "MB", "accuracy %"]
    return [*heads, "ms"] if "latency_ms" in document["before"] else heads


def _figures_row(name: str, figures: dict[str, Any]) -> list[str]:
    row = [
        name,
        f"{figures['params']:,}",
        f"{figures['macs'] / 1e6:.2f}",
        f"{figures['size_mb']:.3f}",
        percent(figures["accuracy"]),
    ]
    return [*row, f"{figures['latency_ms']:.3f}"] if "latency_ms" in figures else row
