"""``edge-fer/op-table/1``: what every operation of a space takes on a device.

A network's time is predicted as ``base_ms``, all that its genotype does not change, and the sum of
its operations. Shape suffixes: E edges of a cell, O operations.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.errors import ModelError
from edge_fer.models.emonas import OPERATIONS, Genotype
from edge_fer.search.op_table_schema import PRECISIONS, SCHEMA
from edge_fer.search.space import Part, Place, Space, edges, parts_of


@dataclass(frozen=True, kw_only=True)
class Table:
    """Times measured on a device.

    Attributes:
        space: Of the networks that it is for.
        base_ms: By precision.
        times_ms: By precision and operation at its place.
    """

    space: Space
    base_ms: Mapping[str, float]
    times_ms: Mapping[tuple[str, Part], float]

    def predict_ms(self, genotype: Genotype, precision: str) -> float:
        """Predicts the latency of a whole network of this space."""
        parts = parts_of(genotype, self.space)
        return self.base_ms[precision] + sum(self.times_ms[precision, part] for part in parts)

    def edges_ms(self, precision: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns float64 ``[E, O]`` of normal and of reduction cells, each summed over them."""
        rows = edges(self.space.intermediate)
        normal_EO, reduction_EO = (np.zeros((len(rows), len(OPERATIONS))) for _ in range(2))
        for cell in self.space.plan:
            times_EO = reduction_EO if cell.reduction else normal_EO
            for row, (_, source) in enumerate(rows):
                for column, name in enumerate(OPERATIONS):
                    part = Part(name, cell.place(source))
                    times_EO[row, column] += self.times_ms[precision, part]
        return normal_EO, reduction_EO


def read_table(path: Path) -> Table:
    """Reads what ``edge-fer bench --ops --space`` wrote.

    Raises:
        ModelError: It is no such file, or lacks an operation.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise ModelError(f"{path}: schema is {document['schema']!r}; expected {SCHEMA!r}")
        table = _table(document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path}: not a readable table of operations ({error})") from error
    _require_all(table, path)
    return table


def table_for(name: str, space: Space) -> Table | None:
    """Reads the table of a space's networks; ``None`` if there is no name.

    Raises:
        ModelError: As ``read_table``, or it is one of other networks.
    """
    if not name:
        return None
    table = read_table(Path(name).expanduser())
    if table.space != space:
        raise ModelError(
            f"{name} is of networks {table.space}, not {space}: measure these with edge-fer bench "
            f"--ops --space {space} --out TABLE.json"
        )
    return table


def _table(document: Mapping[str, Any]) -> Table:
    times_ms = {
        (precision, Part(row["operation"], _place(row))): float(row[f"{precision}_ms"])
        for row in document["rows"]
        for precision in PRECISIONS
    }
    base_ms = {precision: float(document["base_ms"][precision]) for precision in PRECISIONS}
    return Table(space=Space(**document["space"]), base_ms=base_ms, times_ms=times_ms)


def _place(row: Mapping[str, Any]) -> Place:
    return Place(row["channels"], row["size_px"], row["stride"])


def _require_all(table: Table, path: Path) -> None:
    for place in table.space.places:
        for operation in OPERATIONS:
            if ("int8", Part(operation, place)) not in table.times_ms:
                where = f"{place.channels} channels, {place.size_px} px, stride {place.stride}"
                raise ModelError(f"{path}: lacks {operation} at {where}")
