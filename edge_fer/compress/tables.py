"""Documents of ``edge-fer/quantize/1`` as tables, for the terminal and for pages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_fer.report.table import Table, interval, percent


def files_table(document: Mapping[str, Any]) -> Table:
    """Returns a line per file."""
    rows = document["rows"]
    lines = tuple(
        (
            row["file"],
            f"{row['size_mb']:.3f}",
            percent(row["accuracy"]),
            interval(row["accuracy_ci95"]),
            percent(row["label_agreement"]),
            f"{row['drop_pt']:+.2f}",
            f"{row['max_probability_error']:.1e}",
        )
        for row in rows
    )
    heads = ("file", "MB", "accuracy %", "95 %", "same label %", "drop, points", "max |dp|")
    title = f"{document['bundle']}: {rows[0]['n']} faces, {rows[0]['compared_on']}"
    return Table(title=title, heads=heads, rows=lines)


def detector_table(document: Mapping[str, Any]) -> Table:
    """Returns a line per file of a face detector."""
    rows = document["rows"]
    lines = tuple(
        (
            row["file"],
            f"{row['size_mb']:.3f}",
            percent(row["found"]),
            f"{row['extra']:.2f}",
            *("-" if row[key] is None else f"{row[key]:.3f}" for key in ("overlap", "score_error")),
        )
        for row in rows
    )
    heads = ("file", "MB", "faces found %", "others a picture", "overlap", "max |dscore|")
    n, faces = rows[0]["n"], rows[0]["faces"]
    title = f"{document['bundle']}: against the float file's {faces} faces in {n} pictures"
    return Table(title=title, heads=heads, rows=lines)


def costs_table(document: Mapping[str, Any]) -> Table:
    """Returns a line per quantized file: what it loses against its float twin."""
    lines = tuple(_cost_line(row) for row in document["rows"] if "against_float" in row)
    heads = ("file", "drop, points", "95 %", "McNemar's p", "other label %", "95 %", "ECE, points")
    return Table(
        title="against the float file, on the same faces",
        heads=(*heads, "worst class", "n", "drop, points", "95 %"),
        rows=lines,
    )


def _cost_line(row: Mapping[str, Any]) -> tuple[str, ...]:
    cost, worst = row["against_float"], row["against_float"]["worst_class"]
    return (
        row["file"],
        f"{cost['drop_pt']:+.2f}",
        points_interval(cost["drop_ci95_pt"]),
        f"{cost['mcnemar_p']:.3g}",
        f"{cost['flips_percent']:.2f}",
        points_interval(cost["flips_ci95_percent"]),
        f"{cost['ece_change_pt']:+.2f}",
        worst["label"],
        str(worst["n"]),
        f"{worst['drop_pt']:+.2f}",
        points_interval(worst["drop_ci95_pt"]),
    )


def gates_table(document: Mapping[str, Any]) -> Table | None:
    """Returns a line per gate, or ``None`` if none was set."""
    lines = tuple(
        (
            gate["gate"],
            gate["file"],
            f"{gate['value']:.2f}",
            points_interval(gate["ci95"]),
            f"{gate['limit']:g}",
            str(gate["n"]),
            "passed" if gate["passed"] else "FAILED",
        )
        for gate in document["gates"]
    )
    heads = ("gate", "file", "measured", "95 %", "limit", "n", "")
    return Table(title="gates", heads=heads, rows=lines) if lines else None


def mixed_tables(document: Mapping[str, Any]) -> Iterator[Table]:
    """Yields a table of layers for each file in mixed precision."""
    for row in document["rows"]:
        if "mixed" not in row:
            continue
        mixed = row["mixed"]
        lines = tuple(
            (
                layer["layer"],
                f"{layer['logit_error']:.4f}",
                "float" if layer["stays_in_float"] else "int8",
            )
            for layer in mixed["layers"]
        )
        title = (
            f"{row['file']}: {mixed['drop_all_quantized_pt']:+.2f} points lost with every layer "
            f"quantized, {mixed['drop_pt']:+.2f} with those in float; {mixed['tries']} tries"
        )
        yield Table(title=title, heads=("layer", "logit error alone", "stays"), rows=lines)


def kept_table(document: Mapping[str, Any]) -> Table | None:
    """Returns a line per layer that stays in float, or ``None``."""
    lines = tuple(
        (layer["layer"], row["file"], f"{layer['logit_error']:.4f}")
        for row in document["rows"]
        for layer in row.get("mixed", {}).get("layers", ())
        if layer["stays_in_float"]
    )
    heads = ("layer", "file", "logit error alone")
    return Table(title="layers that stay in float", heads=heads, rows=lines) if lines else None


def audit_table(document: Mapping[str, Any]) -> Table:
    """Returns a line per quantized file: what computes in float."""
    lines = tuple(
        (
            row["file"],
            str(row["audit"]["operators"]),
            str(len(row["audit"]["float_operators"])),
            ", ".join(row["audit"]["kept_in_float"]) or "-",
        )
        for row in document["rows"]
        if "against_float" in row
    )
    heads = ("file", "operators", "touch floats", "layers kept in float")
    return Table(title="audit", heads=heads, rows=lines)


def stages_table(document: Mapping[str, Any]) -> Table:
    """Returns a line per stage."""
    seconds = document["stages_s"]
    lines = [(name, f"{s:.1f}") for name, s in seconds.items()]
    lines.append(("all", f"{sum(seconds.values()):.1f}"))
    return Table(title="stages", heads=("stage", "seconds"), rows=tuple(lines))


def points_interval(bounds: Sequence[float]) -> str:
    """Returns an interval that is in points or percent already, e.g. ``-0.40 .. +1.20``."""
    return f"{bounds[0]:+.2f} .. {bounds[1]:+.2f}"
