"""What ``edge-fer data`` prints: tables on standard output, progress on standard error."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edge_fer.show_table import print_line, print_table

if TYPE_CHECKING:
    from edge_fer.data.protocols import Fold

_LINES_SHOWN = 10
_FOLDS_SHOWN = 20


def info_tables(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/data-info/1``: counts, repeats, leaks, what is broken, the verdict."""
    _counts_table(document)
    _facts(document)
    if document["leakage"]:
        _leakage_table(document["leakage"])
    for title in ("unreadable", "problems"):
        _some_lines(title, document[title])
    print_line("")
    for sentence in document["verdict"]:
        print_line(f"* {sentence}")


def folds_table(folds: "Sequence[Fold]", title: str) -> None:
    """Prints the sizes of the folds of a protocol, the first ones if there are many."""
    rows = [
        [fold.name, *(f"{len(part):,}" for part in (fold.train, fold.validation, fold.test))]
        for fold in folds[:_FOLDS_SHOWN]
    ]
    print_table(title, ["fold", "train", "validation", "test"], rows)
    if len(folds) > _FOLDS_SHOWN:
        print_line(f"... and {len(folds) - _FOLDS_SHOWN} more")


def landmarks_line(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/data-landmarks/1`` in a line."""
    eyes = document["eyes"]
    print_line(
        f"{document['n']:,} faces, eyes at {eyes['height']:.3f} of the height and "
        f"{eyes['inset']:.3f} of the width from each side (medians) -> {document['file']}"
    )


def item_counter(*, quiet: bool) -> Callable[[int, int], None]:
    """Returns a function that shows how many items have been read."""

    def show(done: int, of: int) -> None:
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"read {done:,}/{of:,}" + ("\n" if done == of else "\r"))

    return show


def _counts_table(document: dict[str, Any]) -> None:
    splits = document["splits"]
    rows = [
        [name, *(f"{split['per_class'][name]:,}" for split in splits), f"{count:,}"]
        for name, count in document["per_class"].items()
    ]
    rows.append(["all", *(f"{split['n']:,}" for split in splits), f"{document['n']:,}"])
    heads = ["class", *(split["name"] or "no split" for split in splits), "all"]
    print_table(document["data"], heads, rows)


def _facts(document: dict[str, Any]) -> None:
    size, repeats = document["size_px"], document["duplicates"]
    near = repeats["near"]
    rows = [
        ["images, clips", f"{document['images']:,}, {document['clips']:,}"],
        ["width px", _spread(size and size["width"])],
        ["height px", _spread(size and size["height"])],
        ["subjects", f"{document['subjects']['n']:,}"],
        ["exact repeats", f"{repeats['exact']['repeats']:,}"],
        ["near and exact repeats", "-" if near is None else f"{near['repeats']:,}"],
        *([f"tag {tag}", f"{count:,}"] for tag, count in document["tags"].items()),
    ]
    print_table("", ["", ""], rows)


def _spread(values: dict[str, float] | None) -> str:
    if values is None:
        return "-"
    return f"{values['min']:g} .. {values['max']:g}, median {values['median']:g}"


def _leakage_table(leakage: Sequence[dict[str, Any]]) -> None:
    rows = [
        [
            leak["split"],
            leak["reference"],
            f"{leak['n']:,}",
            f"{leak['exact']:,}",
            "-" if leak["near"] is None else f"{leak['near']:,}",
        ]
        for leak in leakage
    ]
    heads = ["items of", "also in", "of", "exact", "near and exact"]
    print_table("Between splits", heads, rows)


def _some_lines(title: str, lines: Sequence[str]) -> None:
    if lines:
        print_line(f"\n{title}: {len(lines):,}")
    for line in lines[:_LINES_SHOWN]:
        print_line(f"  {line}")
    if len(lines) > _LINES_SHOWN:
        print_line(f"  ... and {len(lines) - _LINES_SHOWN:,} more (--json has all)")
