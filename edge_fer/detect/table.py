"""The document of ``benchmarks/detector.py`` as tables for people."""

from collections.abc import Mapping
from typing import Any

from edge_fer.report.table import Table, percent


def tables_of(document: Mapping[str, Any]) -> tuple[Table, Table]:
    """Returns how good detectors are in all, and where.

    Args:
        document: Of schema ``edge-fer/detector/1``.
    """
    rows = document["results"]
    return (
        Table(
            title="Faces from 20 pixels",
            heads=(
                "detector", "input", "scenes AP", "recall at 0.1", "95 %", "photos AP",
                "recall at 0.1", "95 %", "false in 1,000 faceless", "points off",
            ),
            rows=tuple(_overall(row) for row in rows),
        ),
        Table(
            title="Average precision in scenes, by size, roll and light",
            heads=("detector", "input", *(name for kind in _KINDS for name in rows[0][kind])),
            rows=tuple(
                (*_named(row), *(percent(ap) for kind in _KINDS for ap in row[kind].values()))
                for row in rows
            ),
        ),
    )  # fmt: skip


_KINDS = ("ap_by_size", "ap_by_roll", "ap_by_light")


def _named(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["detector"], "x".join(map(str, row["input"]))


def _overall(row: Mapping[str, Any]) -> tuple[str, ...]:
    figures = [
        text
        for name in ("scenes", "photos")
        for text in (
            percent(row[name]["ap"]),
            percent(row[name]["recall"]),
            " - ".join(percent(bound) for bound in row[name]["recall_ci95"]),
        )
    ]
    points = row["point_error"]
    return (
        *_named(row),
        *figures,
        f"{row['false_per_1000']:.0f}",
        "-" if points is None else f"{100 * points:.1f} %",
    )
