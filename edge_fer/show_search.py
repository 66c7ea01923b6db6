"""What people see of ``edge-fer search``, and of tables of operations."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_fer.report.table import percent
from edge_fer.show_table import print_line, print_table


def line_printer(*, quiet: bool) -> Callable[[str], None]:
    """Returns a function that shows a line on standard error."""

    def show(text: str) -> None:
        if not quiet:
            sys.stderr.write(f"{text}\n")

    return show


def count_printer(what: str, *, quiet: bool) -> Callable[[int, int], None]:
    """Returns a function that shows how many of several are done, on standard error."""

    def show(done: int, planned: int) -> None:
        if not quiet:
            end = "\n" if done == planned or not sys.stderr.isatty() else "\r"
            sys.stderr.write(f"{what} {done}/{planned}{end}")

    return show


def epoch_printer(*, quiet: bool) -> Callable[[dict[str, Any]], None]:
    """Returns a function that shows an epoch of a search on standard error."""
    show = line_printer(quiet=quiet)

    def epoch(record: dict[str, Any]) -> None:
        judged, kept_ms = record["validation_accuracy"], record["kept_ms"]
        parts = [
            f"search {record['epoch'] + 1:3d}  weights {record['train_accuracy']:.2%}",
            "" if judged is None else f"alpha {judged:.2%}",
            f"skips {record['skips']['normal']}+{record['skips']['reduction']}",
            "" if kept_ms is None else f"cells of now {kept_ms:.3f} ms",
            f"{record['seconds']:.0f} s",
        ]
        show("  ".join(filter(None, parts)))

    return epoch


def print_search(document: dict[str, Any], out: Path) -> None:
    """Prints ``edge-fer/search/1``."""
    rows = [
        [
            f"seed {one['seed']}",
            str(one["epochs"]) + (" (stopped)" if one["stopped"] else ""),
            f"{one['skips']['normal']} + {one['skips']['reduction']}",
            percent(one["validation_accuracy"]),
            _ms(one["predicted_ms"]),
            f"{one['seconds']:.0f}",
        ]
        for one in document["searches"]
    ]
    heads = ["search", "epochs", "skips", "alpha's faces %", "INT8 ms", "s"]
    print_table("Searches", heads, rows)
    if document["trained"]:
        _print_trained(document)
    print_line(f"genotype -> {out / 'genotype.json'}")


def print_sizes(document: dict[str, Any], out: Path) -> None:
    """Prints ``edge-fer/search-sizes/1``: the best of each size."""
    rows = [
        [
            row["final"],
            percent(row["accuracy"]),
            *(f"{percent(row[kind]['mean'])} ({row[kind]['n']})" for kind in ("searched", "drawn")),
            _ms(row["predicted_ms"]),
        ]
        for row in document["sizes"]
    ]
    heads = [
        "final network",
        "PublicTest %",
        "searched: mean % (n)",
        "drawn: mean % (n)",
        "INT8 ms",
    ]
    print_line("")
    print_table("Sizes", heads, rows)
    print_line(f"genotype, for {document['final']} -> {out / 'genotype.json'}")


def _print_trained(document: dict[str, Any]) -> None:
    rows = [
        [one["name"], percent(one["accuracy"]), _ms(one["predicted_ms"]), f"{one['seconds']:.0f}"]
        for one in document["trained"]
    ]
    print_line("")
    print_table("Trained alike", ["genotype", "PublicTest %", "INT8 ms", "s"], rows)
    summary = document["summary"]
    for kind in ("searched", "drawn"):
        own = summary[kind]
        spread = "" if own["sd"] is None else f", sd {percent(own['sd'])}"
        print_line(f"{kind}: mean {percent(own['mean'])} % of {own['n']}{spread}")
    print_line(
        f"one search took {summary['search_s']:.0f} s, one training {summary['training_s']:.0f} s"
    )


def _ms(times_ms: dict[str, float] | None) -> str:
    return "-" if times_ms is None else f"{times_ms['int8']:.3f}"


def print_op_table(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/op-table/1``: operations by place, and how good the prediction is."""
    rows = [
        [
            row["operation"],
            f"{row['channels']}x{row['size_px']}x{row['size_px']}",
            str(row["stride"]),
            f"{row['fp32_ms']:.4f}",
            f"{row['int8_ms']:.4f}",
            _times(row),
        ]
        for row in document["rows"]
    ]
    heads = ["operation", "reads", "stride", "float ms", "INT8 ms", "INT8 / float"]
    print_table(f"{document['engine']}, 1 thread", heads, rows)
    for precision, base_ms in document["base_ms"].items():
        print_line(f"{precision}: {base_ms:.3f} ms beside the operations")
    for precision, own in (document["check"] or {}).items():
        print_line(
            f"{precision}: {own['n']} networks predicted, rank correlation {own['spearman']:.3f}, "
            f"mean error {own['mean_error']:.1%}, largest {own['max_error']:.1%}"
        )


def _times(row: dict[str, Any]) -> str:
    return f"{row['int8_ms'] / row['fp32_ms']:.2f}" if row["fp32_ms"] > 0 else "-"
