"""What all tables of the pages are made with."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def read_result(name: str) -> dict[str, Any]:
    """Reads a document of ``benchmarks/results``."""
    document: dict[str, Any] = json.loads((RESULTS / name).read_text())
    return document


def percent(fraction: float) -> str:
    """Two places, without the sign."""
    return f"{100 * fraction:.2f}"


def as_table(heads: list[str], rows: list[list[str]]) -> str:
    """Markdown; all columns but the first are aligned to the right."""
    lines = [heads, ["---"] + ["--:"] * (len(heads) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
