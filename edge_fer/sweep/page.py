"""Documents of ``edge-fer/sweep/1`` as an HTML page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_fer.files import write_atomic
from edge_fer.report.page import Picture, Section, render_page
from edge_fer.report.plots import confusion_figure, inline_svg
from edge_fer.report.table import Table, percent
from edge_fer.sweep.tables import failure_table, setting_name, sweep_tables, title_of

_HOW = (
    "Mean over seeds; sd is of single seeds; the interval is Student's, of the mean. It holds for "
    "new seeds on these same test faces, not for other faces."
)
_POOLED = "With folds, a seed's figures are those of all its test faces together."


def write_report(path: Path, document: Mapping[str, Any]) -> None:
    """Writes the page, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    page = render_page(title_of(document), _facts(document), tuple(_sections(document)))
    write_atomic(path, lambda file: file.write_text(page, encoding="utf-8"))


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    machine = document["machine"]
    statuses = [trial["status"] for trial in document["trials"]]
    return [
        ("purpose", document["source"] or "not stated"),
        ("trials", f"{statuses.count('finished')} of {len(statuses)} finished"),
        ("weights", document["weights"]),
        ("command", document["command"] or "not stated"),
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"),
    ]


def _sections(document: Mapping[str, Any]) -> Iterator[Section]:
    how = f"{_HOW} {_POOLED}" if document["protocol"] else _HOW
    yield Section(title="Results", texts=(how,), tables=sweep_tables(document))
    pictures = tuple(_pooled_pictures(document))
    if pictures:
        yield Section(title="Confusion over all folds", pictures=pictures)
    failed = failure_table(document)
    if failed:
        yield Section(title="Failed trials", tables=(failed,))
    yield Section(title="Trials", tables=(_trial_table(document),))
    if document["data_terms"]:
        yield Section(title="Known of the data", texts=tuple(document["data_terms"]))


def _pooled_pictures(document: Mapping[str, Any]) -> Iterator[Picture]:
    for number, row in enumerate(document["rows"], 1):
        for seed in row["seeds"]:
            if seed["complete"] and "pooled" in seed:
                pooled = seed["pooled"]
                figure = confusion_figure(pooled["confusion"], list(pooled["per_class"]))
                svg = inline_svg(figure, f"confusion-{number}-{seed['seed']}")
                yield Picture(svg=svg, caption=f"{setting_name(row)}, seed {seed['seed']}")


def _trial_table(document: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            trial["id"],
            trial["status"],
            str(trial["n"] or "-"),
            percent(trial["validation_accuracy"]),
            percent(trial["accuracy"]),
            percent(trial["uar"]),
        )
        for trial in document["trials"]
    )
    heads = ("trial", "status", "n", "validation accuracy %", "accuracy %", "UAR %")
    return Table(title="one line each", heads=heads, rows=rows)
