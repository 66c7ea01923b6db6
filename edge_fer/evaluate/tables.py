"""Documents of ``edge-fer/evaluate/1`` as tables and sentences, for the terminal and for pages."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from edge_fer.report.table import Table, interval, percent, signed_interval


def names_of(document: Mapping[str, Any]) -> list[str]:
    """Returns a short name for each result: its file's, with its model's where that is needed."""
    files = [(result["file"], result["engine"]) for result in document["results"]]
    if len(set(files)) == len(files):
        return [file for file, _ in files]
    return [_long_name(result) for result in document["results"]]


def _long_name(head: Mapping[str, str]) -> str:
    model, file = PurePath(head["model"]), head["file"]
    return str(model) if model.name == file else f"{model}/{file}"


def summary_table(document: Mapping[str, Any]) -> Table:
    """Returns a line per model and engine."""
    rows = [
        (
            name,
            result["engine"],
            str(result["n"]),
            percent(result["accuracy"]),
            interval(result["accuracy_ci95"]),
            percent(result["accuracy_without_leaks"]),
            percent(result["uar"]),
            percent(result["uf1"]),
            percent(result["ece"]),
            f"{result['temperature']:.4g}",
        )
        for name, result in zip(names_of(document), document["results"], strict=True)
    ]
    heads = ("file", "engine", "n", "accuracy %", "95 %", "without leaks %", "UAR %", "UF1 %")
    return Table(title=title_of(document), heads=(*heads, "ECE %", "T"), rows=tuple(rows))


def title_of(document: Mapping[str, Any]) -> str:
    """Returns what was evaluated on, e.g. ``fer2013 PrivateTest``."""
    protocol = document.get("protocol")
    fold = f", fold {protocol['fold']} of {protocol['file']}" if protocol else ""
    return f"{document['data']} {document['split']}{fold}"


def class_table(result: Mapping[str, Any], name: str) -> Table:
    """Returns a line per class of one result."""
    rows = tuple(
        (
            label,
            str(figures["n"]),
            percent(figures["recall"]),
            interval(figures["recall_ci95"]),
            percent(figures["precision"]),
            percent(figures["f1"]),
        )
        for label, figures in result["per_class"].items()
    )
    heads = ("class", "n", "recall %", "95 %", "precision %", "F1 %")
    return Table(title=f"per class, {name}, {result['engine']}", heads=heads, rows=rows)


def subset_table(document: Mapping[str, Any]) -> Table | None:
    """Returns a line per model, engine and tag of the faces, or ``None`` if they have no tags."""
    rows = tuple(
        (
            name,
            result["engine"],
            tag,
            str(figures["n"]),
            percent(figures["accuracy"]),
            interval(figures["accuracy_ci95"]),
            percent(figures["accuracy_without_leaks"]),
        )
        for name, result in zip(names_of(document), document["results"], strict=True)
        for tag, figures in result.get("subsets", {}).items()
    )
    heads = ("file", "engine", "faces", "n", "accuracy %", "95 %", "without leaks %")
    return Table(title="faces with a tag", heads=heads, rows=rows) if rows else None


def comparison_table(document: Mapping[str, Any]) -> Table | None:
    """Returns a line per comparison with the first result, or ``None`` if there is only one."""
    comparisons = document["comparisons"]
    if not comparisons:
        return None
    first, *others = names_of(document)
    rows = tuple(
        (
            name,
            c["second"]["engine"],
            f"{100 * c['accuracy_difference']:+.2f}",
            signed_interval(c["accuracy_difference_ci95"]),
            str(c["only_first_correct"]),
            str(c["only_second_correct"]),
            f"{c['mcnemar_p']:.3g}",
            percent(c["label_flip_rate"]),
        )
        for name, c in zip(others, comparisons, strict=True)
    )
    heads = ("file", "engine", "accuracy, points", "95 %", "only first right", "only this right")
    return Table(
        title=f"compared with {first}, {document['results'][0]['engine']}",
        heads=(*heads, "McNemar's p", "other label %"),
        rows=rows,
    )


def robustness_table(result: Mapping[str, Any], name: str) -> Table | None:
    """Returns a line per disturbance of one result, or ``None`` if none was made."""
    if "robustness" not in result:
        return None
    rows = tuple(
        (
            curve["disturbance"],
            curve["unit"],
            *(f"{step['level']:g}: {percent(step['accuracy'])}" for step in curve["levels"]),
        )
        for curve in result["robustness"]
    )
    steps = max(len(curve["levels"]) for curve in result["robustness"])
    heads = ("disturbance", "unit", *(f"level {n}: accuracy %" for n in range(1, steps + 1)))
    clean = percent(result["accuracy"])
    title = f"disturbed faces, {name}, {result['engine']}; undisturbed {clean} %"
    return Table(title=title, heads=heads, rows=rows)


def temperature_table(document: Mapping[str, Any]) -> Table | None:
    """Returns calibration before and after a fit, or ``None`` if none was made."""
    fit = document.get("temperature_fit")
    if fit is None:
        return None
    rows = tuple(
        (
            row["file"],
            row["engine"],
            *(percent(row[when]["ece"]) for when in ("before", "after")),
            *(f"{row[when]['nll']:.4f}" for when in ("before", "after")),
        )
        for row in fit["files"]
    )
    heads = ("file", "engine", "ECE % before", "after", "NLL before", "after")
    leaks = f", {fit['leaks_left_out']} leaks left out" if fit["leaks_left_out"] else ""
    title = (
        f"temperature {fit['value']:.4g} (was {fit['previous']:.4g}) from {fit['n']} faces{leaks}; "
        f"stored in {fit['stored_in']}"
    )
    return Table(title=title, heads=heads, rows=rows)


def classes_table(document: Mapping[str, Any]) -> Table | None:
    """Returns what a fit of the classes' logits changed, or ``None`` if none was made."""
    fit = document.get("classes_fit")
    if fit is None:
        return None
    rows = tuple(
        (when, percent(fit[when]["accuracy"]), percent(fit[when]["ece"]), f"{fit[when]['nll']:.4f}")
        for when in ("before", "after")
    )
    leaks = f", {fit['leaks_left_out']} leaks left out" if fit["leaks_left_out"] else ""
    title = f"logit of each class from {fit['n']} faces{leaks}; stored in {fit['stored_in']}"
    return Table(title=title, heads=("fit", "accuracy %", "ECE %", "NLL"), rows=rows)


def remarks(document: Mapping[str, Any]) -> list[str]:
    """Returns a sentence for whatever was left out or is doubtful."""
    classes = document["classes"]
    lines = []
    if classes["dropped_from_data"]:
        counts = ", ".join(f"{k} ({n} faces)" for k, n in classes["dropped_from_data"].items())
        lines.append(f"left out of the data, because a model lacks the class: {counts}")
    for model, labels in classes["dropped_from_models"].items():
        lines.append(
            f"{model}: outputs not in the data, left out and the rest renormalised: "
            f"{', '.join(labels)}"
        )
    if document.get("temperature_fit", {}).get("at_bound"):
        lines.append("the best temperature is beyond the range that is searched; its end was taken")
    return lines
