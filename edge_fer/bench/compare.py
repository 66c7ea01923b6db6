"""``edge-fer bench compare A.json B.json``: what changed, and whether it is noise."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bench.statistics import SMALLEST_CHANGE, unpaired_ratio, verdict
from edge_fer.errors import EdgeFerError

SCHEMA = "edge-fer/bench-compare/1"
BENCH_SCHEMA = "edge-fer/bench/1"
KEY = ("file", "engine", "threads")
#: So many rows in common before their common shift says something of the machine.
ROWS_FOR_SHIFT = 3


def read_results(path: Path) -> dict[str, Any]:
    """Reads a document of schema ``edge-fer/bench/1``.

    Raises:
        EdgeFerError: No such file, or it is something else.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeFerError(f"{path}: not a readable benchmark ({error})") from error
    if not isinstance(document, dict) or document.get("schema") != BENCH_SCHEMA:
        raise EdgeFerError(f"{path}: not a document of schema {BENCH_SCHEMA}")
    return document


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Compares the rows that two benchmarks have in common, by file, engine and threads.

    Args:
        before: Document of schema ``edge-fer/bench/1``.
        after: Another.

    Returns:
        ``rows``: ``ratio`` (of medians, after / before) with ``ratio_ci95`` and ``verdict``: noise,
        faster, slower, or unknown where a document keeps no rounds. ``only_before`` and
        ``only_after`` list the others, ``warnings`` what makes the comparison doubtful.
    """
    old, new = _by_key(before), _by_key(after)
    rows = [_changed(old[key], new[key]) for key in old if key in new]
    return {
        "schema": SCHEMA,
        "rows": rows,
        "only_before": [_named(key) for key in old if key not in new],
        "only_after": [_named(key) for key in new if key not in old],
        "warnings": _warnings(before, after, rows),
    }


def _by_key(document: Mapping[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[name] for name in KEY): row for row in document["rows"]}


def _named(key: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(KEY, key, strict=True))


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    record = {name: before[name] for name in KEY}
    record |= {"before_p50_ms": before["p50_ms"], "after_p50_ms": after["p50_ms"]}
    record |= {"cpu_ratio": _cpu_ratio(before, after)}
    rounds = [row.get("round_p50_ms") or () for row in (after, before)]
    if not all(rounds):
        ratio = after["p50_ms"] / before["p50_ms"]
        return record | {"ratio": ratio, "ratio_ci95": None, "verdict": "unknown"}
    interval = unpaired_ratio(np.array(rounds[0]), np.array(rounds[1]))
    return record | {
        "ratio": interval.value,
        "ratio_ci95": interval.bounds,
        "verdict": verdict(interval),
    }


def _cpu_ratio(before: Mapping[str, Any], after: Mapping[str, Any]) -> float | None:
    return after["cpu_ms"] / before["cpu_ms"] if before["cpu_ms"] else None


def _warnings(
    before: Mapping[str, Any], after: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[str]:
    warnings = [
        f"{name}: {line}"
        for name, document in (("before", before), ("after", after))
        for line in document.get("warnings", ())
    ]
    for key in ("cpu", "cores", "architecture"):
        pair = before["machine"].get(key), after["machine"].get(key)
        if pair[0] != pair[1]:
            warnings.append(f"other machine: {key} {pair[0]} before, {pair[1]} after")
    shift = float(np.median([row["ratio"] for row in rows])) if rows else 1.0
    if len(rows) >= ROWS_FOR_SHIFT and abs(shift - 1) >= SMALLEST_CHANGE:
        warnings.append(
            f"the median row changed by {shift - 1:+.1%}: where all rows move alike, the machine "
            "did, not the models"
        )
    return warnings
