"""A document of ``edge-fer/quantize/1`` as an HTML page."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_fer.compress.document import SCHEMA
from edge_fer.compress.tables import (
    audit_table,
    costs_table,
    files_table,
    gates_table,
    mixed_tables,
    stages_table,
)
from edge_fer.errors import EdgeFerError
from edge_fer.files import write_atomic
from edge_fer.report.page import Picture, Section, render_page
from edge_fer.report.plots import confusion_figure, inline_svg
from edge_fer.report.table import Table

_HOW_COMPARED = (
    "Positive points are lost. McNemar's exact test, two-sided, is on the faces that exactly one "
    "of the two files gets right. Interval of a difference: "
)
_HOW_SEARCHED = (
    "Each layer was quantized alone; the error is the root of the mean squared difference of the "
    "logits from the float file's. Layers stay in float in that order, as few as meet --max-drop."
)


def write_report(path: Path, document: Mapping[str, Any]) -> None:
    """Writes the page, whole or not at all.

    Raises:
        EdgeFerError: The document is a face detector's.
        OutputError: It cannot be written.
    """
    if document["schema"] != SCHEMA:
        raise EdgeFerError("--report is for networks that read expressions")
    page = quantization_page(document)
    write_atomic(path, lambda file: file.write_text(page, encoding="utf-8"))


def quantization_page(document: Mapping[str, Any]) -> str:
    """Returns the page."""
    title = f"Quantization of {Path(document['bundle']).name}"
    return render_page(title, _facts(document), tuple(_sections(document)))


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    recipe, calibration = document["recipe"], document["calibration"]
    measured_on = ", ".join(f"{key} {value}" for key, value in calibration.items())
    facts = [
        ("bundle", document["bundle"]),
        ("recipe", recipe["name"]),
        ("for", recipe["devices"]),
        ("choose it", recipe["choose_when"]),
        ("calibration", measured_on),
        ("command", document["command"]),
    ]
    return [(name, value) for name, value in facts if value]


def _sections(document: Mapping[str, Any]) -> Iterator[Section]:
    yield Section(title="Files", tables=(files_table(document),))
    gates = gates_table(document)
    if gates:
        failed = [gate["message"] for gate in document["gates"] if not gate["passed"]]
        texts = tuple(f"Failed: {message}." for message in failed) or ("Every gate passed.",)
        yield Section(title="Gates", texts=texts, tables=(gates,))
    quantized = [row for row in document["rows"] if "against_float" in row]
    method = quantized[0]["against_float"]["interval_method"]
    yield Section(
        title="Cost",
        texts=(_HOW_COMPARED + method,),
        tables=(costs_table(document), *map(_class_table, quantized)),
    )
    for row in quantized:
        yield from _confusions(document, row)
    mixed = tuple(mixed_tables(document))
    if mixed:
        yield Section(title="Mixed precision", texts=(_HOW_SEARCHED,), tables=mixed)
    yield Section(title="Audit", tables=(audit_table(document),))
    yield Section(title="Time", tables=(stages_table(document),))


def _class_table(row: Mapping[str, Any]) -> Table:
    lines = tuple(
        (
            figures["label"],
            str(figures["n"]),
            f"{figures['drop_pt']:+.2f}",
            "{:+.2f} .. {:+.2f}".format(*figures["drop_ci95_pt"]),
        )
        for figures in row["against_float"]["classes"]
    )
    heads = ("class", "n", "recall lost, points", "95 %")
    return Table(title=f"per class, {row['file']}", heads=heads, rows=lines)


def _confusions(document: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[Section]:
    """Float and quantized side by side, where there are labels."""
    twins = [r for r in document["rows"] if r["format"] == row["format"] and "confusion" in r]
    if len(twins) == 2:
        yield Section(title=f"Confusions, {row['format']}", pictures=tuple(map(_picture, twins)))


def _picture(row: Mapping[str, Any]) -> Picture:
    figure = confusion_figure(row["confusion"], list(row["per_class"]))
    slug = re.sub(r"[^A-Za-z0-9]+", "-", row["file"])
    return Picture(
        svg=inline_svg(figure, f"confusion-{slug}"),
        caption=f"{row['file']}: faces, and their share of the label's.",
    )
