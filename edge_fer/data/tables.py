"""Annotation tables: CSV files and Excel sheets, row by row."""

import csv
import importlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from edge_fer.data.reading import natural_key
from edge_fer.errors import DataError

TABLE_SUFFIXES = (".csv", ".xlsx", ".xls")
_HEADER_WITHIN = 30
"""Rows in which a header is looked for: some Excel files begin with a page of notes."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table.

    Attributes:
        where: File and line, for messages.
        cells: Text by column; columns are compared without case, spaces and punctuation.
    """

    where: str
    cells: dict[str, str]

    def text(self, columns: str) -> str:
        """Returns the cell of the first of ``columns`` (``a|b``) that exists, or nothing."""
        return next((self.cells[key] for key in _keys(columns) if key in self.cells), "")

    def integer(self, columns: str) -> int:
        """Returns a cell as a whole number; ``DataError`` if it holds anything else."""
        text = self.text(columns)
        if not re.fullmatch(r"[+-]?[0-9]{1,15}(\.0*)?", text):
            raise DataError(
                f"{self.where}: {columns.split('|')[0]} is {text!r}, not a whole number"
            )
        return int(float(text))


def read_table(
    file: Path, required: Sequence[str], header: Sequence[str] = ()
) -> Iterator[TableRow]:
    """Reads the rows below the header of a ``.csv`` or the first sheet of an ``.xlsx``.

    Args:
        file: The table.
        required: Columns it must have; ``a|b`` where a column has two names.
        header: Its columns, if the table is also handed out without a header row.

    Raises:
        DataError: Missing, damaged, of another kind, or without a required column.
    """
    raw = _raw_rows(file)
    beginning = list(islice(raw, _HEADER_WITHIN))
    start, columns = _find_header(beginning, required)
    if start < 0:
        if not beginning or not _fits(beginning[0], header):
            missing = _missing([_key(cell) for cell in (beginning or [[]])[0]], required)
            raise DataError(f"{file}: no column {', '.join(missing)}")
        columns = [_key(name) for name in header]
    rows = chain(beginning[start + 1 :], raw)
    for number, cells in enumerate(rows, start + 2):
        if any(cells):
            yield TableRow(f"{file}:{number}", dict(zip(columns, cells, strict=False)))


def find_tables(root: Path, pattern: str) -> list[Path]:
    """Finds the tables of a folder and its sub-folders whose names match a regular expression.

    Where the same table is there as ``.xlsx`` and ``.csv``, the ``.csv`` is taken. A file given in
    place of the folder is taken as it is.
    """
    if root.is_file():
        return [root]
    files = [
        file
        for file in (*root.glob("*"), *root.glob("*/*"))
        if file.suffix.lower() in TABLE_SUFFIXES
        and re.search(pattern, file.stem, re.IGNORECASE)
        and not file.name.startswith((".", "~$"))
    ]
    files.sort(key=lambda file: TABLE_SUFFIXES.index(file.suffix.lower()), reverse=True)
    best = {file.stem: file for file in files}
    return sorted(best.values(), key=lambda file: natural_key(file.name))


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _keys(columns: str) -> list[str]:
    return [_key(name) for name in columns.split("|")]


def _missing(columns: list[str], required: Sequence[str]) -> list[str]:
    return [names.split("|")[0] for names in required if not set(_keys(names)) & set(columns)]


def _find_header(rows: list[list[str]], required: Sequence[str]) -> tuple[int, list[str]]:
    for index, cells in enumerate(rows):
        columns = [_key(cell) for cell in cells]
        if not _missing(columns, required):
            return index, columns
    return -1, []


def _fits(cells: list[str], header: Sequence[str]) -> bool:
    filled = len([cell for cell in cells if cell])
    return bool(header) and len(cells) >= len(header) - 2 and 2 <= filled <= len(header)


def _raw_rows(file: Path) -> Iterator[list[str]]:
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    suffix = file.suffix.lower()
    if suffix == ".xlsx":
        return _excel_rows(file)
    if suffix == ".xls":
        raise DataError(f"{file}: the old Excel format; save it as .xlsx or .csv")
    return _csv_rows(file)


def _csv_rows(file: Path) -> Iterator[list[str]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            for cells in csv.reader(stream):
                yield [cell.strip() for cell in cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not a CSV file in UTF-8 ({error})") from error


def _excel_rows(file: Path) -> Iterator[list[str]]:
    try:
        openpyxl = importlib.import_module("openpyxl")
    except ImportError as error:
        raise DataError(
            f"{file}: reading Excel files needs more packages: pip install 'edge-fer[data]' "
            "(or save it as .csv)"
        ) from error
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        rows = book.worksheets[0].iter_rows(values_only=True)
        yield from ([_cell_text(cell) for cell in cells] for cells in rows)
        book.close()
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: not an Excel file ({error})") from error


def _cell_text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell).strip()
