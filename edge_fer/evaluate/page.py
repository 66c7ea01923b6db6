"""A document of ``edge-fer/evaluate/1`` as an HTML page and as pictures."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_fer.errors import OutputError
from edge_fer.evaluate.tables import (
    class_table,
    classes_table,
    comparison_table,
    names_of,
    remarks,
    robustness_table,
    subset_table,
    summary_table,
    temperature_table,
    title_of,
)
from edge_fer.files import write_atomic
from edge_fer.report.page import Picture, Section, render_page
from edge_fer.report.plots import (
    confusion_figure,
    inline_svg,
    png_bytes,
    reliability_figure,
    robustness_figure,
)

_HOW_COMPARED = (
    "Positive points: better than the first. McNemar's exact test, two-sided, is on the faces that "
    "exactly one of the two gets right. Interval of the difference: "
)


def write_report(path: Path, document: Mapping[str, Any]) -> None:
    """Writes the page, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    page = evaluation_page(document)
    write_atomic(path, lambda file: file.write_text(page, encoding="utf-8"))


def write_pictures(folder: Path, document: Mapping[str, Any]) -> None:
    """Writes ``confusion-NAME.png`` and ``reliability-NAME.png`` for each result.

    And ``robustness-NAME.png`` if faces were disturbed.

    Raises:
        OutputError: One cannot be written.
    """
    for slug, result in zip(_slugs(document), document["results"], strict=True):
        confusion = confusion_figure(result["confusion"], list(result["per_class"]))
        _write_png(folder / f"confusion-{slug}.png", png_bytes(confusion))
        reliability = reliability_figure(result["reliability"])
        _write_png(folder / f"reliability-{slug}.png", png_bytes(reliability))
        if "robustness" in result:
            curves = robustness_figure(result["robustness"], result["accuracy"])
            _write_png(folder / f"robustness-{slug}.png", png_bytes(curves))


def refuse_full_folder(folder: Path, *, force: bool) -> None:
    """Raises ``OutputError`` if there is a file of that name, or something in it without force."""
    if folder.is_file():
        raise OutputError(f"{folder} is a file; the pictures go into a folder")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise OutputError(f"{folder} is not empty; give --force to write into it")


def evaluation_page(document: Mapping[str, Any]) -> str:
    """Returns the page."""
    title = f"Evaluation on {title_of(document)}"
    return render_page(title, _facts(document), tuple(_sections(document)))


def _write_png(path: Path, content: bytes) -> None:
    write_atomic(path, lambda file: file.write_bytes(content))


def _slugs(document: Mapping[str, Any]) -> list[str]:
    """Names of the results for files and for ids, unique and of plain characters."""
    return [
        f"{index}-{re.sub(r'[^A-Za-z0-9]+', '-', result['file']).strip('-')}-{result['engine']}"
        for index, result in enumerate(document["results"], 1)
    ]


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    machine = document["machine"]
    models = dict.fromkeys(result["model"] for result in document["results"])
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return [
        ("models", ", ".join(models)),
        ("data", title_of(document)),
        ("faces", str(document["results"][0]["n"])),
        ("classes", ", ".join(document["classes"]["evaluated"])),
        ("command", document["command"] or "not stated"),
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"),
        ("versions", f"Python {machine['python']}, {versions}"),
    ]


def _sections(document: Mapping[str, Any]) -> Iterator[Section]:
    yield Section(
        title="Summary", texts=tuple(remarks(document)), tables=(summary_table(document),)
    )
    for title, table in (
        ("Subsets", subset_table(document)),
        ("Classes", classes_table(document)),
        ("Temperature", temperature_table(document)),
    ):
        if table:
            yield Section(title=title, tables=(table,))
    compared = comparison_table(document)
    if compared:
        method = document["comparisons"][0]["interval_method"]
        yield Section(title="Comparison", texts=(_HOW_COMPARED + method,), tables=(compared,))
    results = zip(names_of(document), _slugs(document), document["results"], strict=True)
    for name, slug, result in results:
        yield _result_section(name, slug, result)
        if "robustness" in result:
            yield _robustness_section(name, slug, result)
    if document["data_terms"]:
        yield Section(title="Known of the data", texts=(document["data_terms"],))


def _result_section(name: str, slug: str, result: Mapping[str, Any]) -> Section:
    confusion = confusion_figure(result["confusion"], list(result["per_class"]))
    reliability = reliability_figure(result["reliability"])
    return Section(
        title=f"{name}, {result['engine']}",
        tables=(class_table(result, name),),
        pictures=(
            Picture(
                svg=inline_svg(confusion, f"confusion-{slug}"),
                caption="Confusion matrix: faces, and their share of the label's.",
            ),
            Picture(
                svg=inline_svg(reliability, f"reliability-{slug}"),
                caption=f"Reliability: expected calibration error {100 * result['ece']:.2f} %.",
            ),
        ),
    )


def _robustness_section(name: str, slug: str, result: Mapping[str, Any]) -> Section:
    curves = robustness_figure(result["robustness"], result["accuracy"])
    table = robustness_table(result, name)
    caption = (
        "Accuracy over the level of each disturbance, with its 95 % interval; dashed: without."
    )
    return Section(
        title=f"{name}, {result['engine']}: disturbed faces",
        tables=(table,) if table else (),
        pictures=(Picture(svg=inline_svg(curves, f"robustness-{slug}"), caption=caption),),
    )
