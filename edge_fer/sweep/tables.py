"""Documents of ``edge-fer/sweep/1`` as tables for people, and as lines of a CSV file."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_fer.report.table import Table, interval, percent

_COLUMNS = ("n", "mean", "sd", "min", "max")


def sweep_tables(document: Mapping[str, Any]) -> tuple[Table, ...]:
    """Returns a table of all rows, and one of their figures by database where there are several."""
    names = dict.fromkeys(name for row in document["rows"] for name in row["figures"])
    parts = [name for name in names if " " in name]
    tables = [_summary_table(document)]
    if parts:
        tables.append(_database_table(document, parts))
    return tuple(tables)


def title_of(document: Mapping[str, Any]) -> str:
    """Returns what was swept and on what it was judged."""
    folds = f", pooled over the folds of {document['protocol']}" if document["protocol"] else ""
    return f"{document['name']}: {', '.join(document['data'])} {document['test']}{folds}"


def setting_name(row: Mapping[str, Any]) -> str:
    """Returns a row's place on the axes, e.g. ``set.mixup=0.2 model=arch-1``."""
    return " ".join(f"{key}={value}" for key, value in row["settings"].items()) or "all"


def failure_table(document: Mapping[str, Any]) -> Table | None:
    """Returns a line per failed trial, or ``None`` if there is none."""
    failed = [trial for trial in document["trials"] if trial["status"] == "failed"]
    if not failed:
        return None
    rows = tuple((trial["id"], trial["error"]) for trial in failed)
    return Table(title="failed; --resume tries them again", heads=("trial", "error"), rows=rows)


def csv_rows(document: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    """Yields the head, then a line per row of the document; fractions, empty where unknown."""
    rows = document["rows"]
    settings = list(dict.fromkeys(key for row in rows for key in row["settings"]))
    figures = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    columns = [*_COLUMNS, "ci95_low", "ci95_high"]
    counts = ["planned", "finished", "failed"]
    yield [*settings, *counts, *(f"{name} {column}" for name in figures for column in columns)]
    for row in rows:
        cells = [cell for name in figures for cell in _csv_cells(row["figures"].get(name, {}))]
        yield [*(row["settings"].get(key) for key in settings), *(row[c] for c in counts), *cells]


def _csv_cells(figure: Mapping[str, Any]) -> list[Any]:
    low, high = figure.get("ci95") or (None, None)
    return [*(figure.get(column) for column in _COLUMNS), low, high]


def _summary_table(document: Mapping[str, Any]) -> Table:
    spread = ("sd", "95 % of mean", "min", "max")
    heads = ("setting", "trials", "seeds", "accuracy %", *spread, "UAR %", *spread, "UF1 %")
    rows = tuple(
        (
            setting_name(row),
            f"{row['finished']}/{row['planned']}",
            str(row["figures"]["accuracy"]["n"]),
            *_cells(row["figures"]["accuracy"]),
            *_cells(row["figures"]["uar"]),
            percent(row["figures"]["uf1"]["mean"]),
        )
        for row in document["rows"]
    )
    return Table(title=title_of(document), heads=heads, rows=rows)


def _database_table(document: Mapping[str, Any], names: Sequence[str]) -> Table:
    rows = tuple(
        (setting_name(row), *(percent(row["figures"].get(name, {}).get("mean")) for name in names))
        for row in document["rows"]
    )
    heads = ("setting", *(f"{_label(name)} %" for name in names))
    return Table(title="mean by database", heads=heads, rows=rows)


def _label(name: str) -> str:
    database, _, figure = name.rpartition(" ")
    return f"{database} {figure if figure == 'accuracy' else figure.upper()}"


def _cells(figure: Mapping[str, Any]) -> tuple[str, ...]:
    low_high = [percent(figure[key]) for key in ("min", "max")]
    return percent(figure["mean"]), percent(figure["sd"]), interval(figure["ci95"]), *low_high
