"""What people see of a run beside its lines."""

import sys
from typing import Any

from edge_fer.show_table import print_table


def steadiness_table(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/steadiness/1``: labels of each frame alone and as shown, face by face."""
    rows = [_row("all", document), *(_row(f"#{face['id']}", face) for face in document["by_face"])]
    heads = ["face", "seconds", "flips/min raw", "shown", "s to stable raw", "shown"]
    print_table("How steady the labels were", heads, rows)


def _row(name: str, figures: dict[str, Any]) -> list[str]:
    pair = [figures["raw"], figures["shown"]]
    return [
        name,
        f"{figures['seconds']:.1f}",
        *(_number(one["flips_per_minute"]) for one in pair),
        *(_number(one["median_s_to_stable"]) for one in pair),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def download_progress(done: int, total: int) -> None:
    """Shows the bytes of a download so far on a terminal."""
    if sys.stderr.isatty():
        end = "\n" if done >= total else "\r"
        sys.stderr.write(f"{done / 1e3:.0f} of {total / 1e3:.0f} kB{end}")
