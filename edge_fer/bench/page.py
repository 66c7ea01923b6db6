"""Documents of ``edge-fer/bench/1`` as an HTML page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_fer.bench.figures import (
    latency_figure,
    pareto_figure,
    pareto_rows,
    stages_figure,
    sustained_figure,
)
from edge_fer.bench.tables import bench_tables, machine_line
from edge_fer.files import write_atomic
from edge_fer.report.page import Picture, Section, render_page
from edge_fer.report.plots import inline_svg

_HOW = (
    "Wall time of one inference at batch 1; every round runs every row once, in a new order; no "
    "outlier is left out. Intervals are 95 %, by bootstrap over rounds; ratios are compared round "
    "by round."
)


def write_report(path: Path, document: Mapping[str, Any]) -> None:
    """Writes the page, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    title = (document.get("suite") or {"description": "Benchmark"})["description"]
    page = render_page(title, _facts(document), tuple(_sections(document)))
    write_atomic(path, lambda file: file.write_text(page, encoding="utf-8"))


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    machine, settings = document["machine"], document["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = machine["load_before"]
    return [
        ("machine", machine_line(document)),
        ("versions", f"Python {machine['python']}, {versions}"),
        ("load before", "not known" if load is None else f"{load:.1f}"),
        ("energy", machine.get("energy") or "not known"),
        ("rounds", f"{settings['rounds']} of {settings['inferences']} inferences"),
    ]


def _sections(document: Mapping[str, Any]) -> Iterator[Section]:
    yield Section(
        title="Results",
        texts=(*document["warnings"], _HOW),
        tables=tuple(bench_tables(document)),
        pictures=tuple(_pictures(document)),
    )
    if document["skipped"]:
        yield Section(title="Not measured", texts=tuple(document["skipped"]))


def _pictures(document: Mapping[str, Any]) -> Iterator[Picture]:
    rows = document["rows"]
    judged = [row for row in rows if row.get("accuracy") is not None]
    if judged:
        for key, label in (("p50_ms", "ms, median"), ("size_mb", "MB")):
            svg = inline_svg(pareto_figure(judged, key, label), f"pareto-{key.replace('_', '-')}")
            front = enumerate(pareto_rows(judged, key), 1)
            names = "; ".join(f"{n}: {row['file']} on {row['engine']}" for n, row in front)
            caption = f"Accuracy over {label}. What nothing else beats in both: {names}."
            yield Picture(svg=svg, caption=caption)
    svg = inline_svg(latency_figure(rows), "latency")
    yield Picture(svg=svg, caption="How times scatter; blue is INT8, orange float.")
    if "stages" in document:
        svg = inline_svg(stages_figure(document["stages"]), "stages")
        yield Picture(svg=svg, caption="Where the time of a frame goes.")
    if "sustained" in document:
        svg = inline_svg(sustained_figure(document["sustained"]), "sustained")
        yield Picture(svg=svg, caption=document["sustained"]["verdict"])
