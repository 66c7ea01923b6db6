"""``SWEEP.toml``: the settings of a training, and axes along which some of them vary."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_fer.errors import EdgeFerError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "edge-fer/sweep/1"
WEIGHTS = ("best", "last")
TESTS = ("PublicTest", "PrivateTest")
ALL_FOLDS = "all"
#: Settings of a training by the type of their values; each may be an axis.
SETTINGS: Mapping[str, type] = {
    "model": str,
    "data": str,
    "recipe": str,
    "pretrained": str,
    "init": str,
    "input_px": int,
    "teachers": list,
    "fold": str,
    "faces": int,
    "landmarks": str,
    "seed": int,
    "precision": str,
}
#: Tables of settings; an axis is one key of theirs, ``set.mixup``.
TABLES = ("set", "options")
_OWN: Mapping[str, type] = {"source": str, "protocol": str, "test": str, "weights": str}
_NUMBERS = ("cpus", "gpus")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep file says.

    Attributes:
        name: The file's stem.
        base: Settings that all trials share, by name.
        axes: Values by setting, to be crossed; the last varies fastest.
        protocol: File of ``edge-fer data split``; empty: the dataset's own splits.
        test: Split on which trials are judged; empty with a protocol, whose test sides they are.
        weights: Which of a run are judged: ``best`` on its validation faces, or of the ``last``
            epoch, for validation sets that are too small to choose by.
        cpus: Cores of a trial on a cluster.
        gpus: GPUs of a trial on a cluster, may be a fraction.
        source: What it is for.
    """

    name: str
    base: Mapping[str, Any]
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    protocol: str = ""
    test: str = TESTS[0]
    weights: str = WEIGHTS[0]
    cpus: float = 1
    gpus: float = 0
    source: str = ""

    def __post_init__(self) -> None:
        if self.weights not in WEIGHTS:
            raise EdgeFerError(f"weights {self.weights!r} is not one of {', '.join(WEIGHTS)}")
        if not self.protocol and self.test not in TESTS:
            raise EdgeFerError(f"test {self.test!r} is not one of {', '.join(TESTS)}")
        if self.cpus <= 0 or self.gpus < 0:
            raise EdgeFerError("cpus must be above 0, and gpus not below")
        named = {*self.base, *self.axes}
        if "fold" in named and not self.protocol:
            raise EdgeFerError("a fold needs protocol, the file that has it")
        missing = [name for name in ("model", "data") if name not in named]
        if missing:
            raise EdgeFerError(f"no {' and no '.join(missing)}")


def read_sweep(path: Path) -> Sweep:
    """Reads a sweep file.

    Raises:
        EdgeFerError: The file is not TOML or does not follow the schema; one line says where.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeFerError(f"{path}: not a readable sweep ({error})") from error
    if document.get("schema") != SCHEMA:
        raise EdgeFerError(f"{path}: schema is {document.get('schema')!r}; expected {SCHEMA!r}")
    try:
        return _parse(path.stem, document)
    except EdgeFerError as error:
        raise EdgeFerError(f"{path}: {error}") from error


def _parse(name: str, document: Mapping[str, Any]) -> Sweep:
    known = {"schema", "axes", *TABLES, *SETTINGS, *_OWN, *_NUMBERS}
    unknown = sorted(set(document) - known)
    if unknown:
        raise EdgeFerError(f"unknown keys {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    base = {key: _typed(key, document[key], SETTINGS[key]) for key in SETTINGS if key in document}
    for table in TABLES:
        base[table] = _typed(table, document.get(table, {}), dict)
    base["set"] = dict(_flat(base["set"]))
    own: dict[str, Any] = {
        key: _typed(key, document[key], kind) for key, kind in _OWN.items() if key in document
    }
    own |= {key: _number(key, document[key]) for key in _NUMBERS if key in document}
    if own.get("protocol") and "test" in own:
        raise EdgeFerError("test and protocol exclude each other: a fold has a test side")
    own["test"] = "" if own.get("protocol") else own.get("test", TESTS[0])
    return Sweep(name=name, base=base, axes=_axes(document.get("axes", {})), **own)


def _axes(table: object) -> dict[str, tuple[Any, ...]]:
    if not isinstance(table, dict):
        raise EdgeFerError("[axes] has to be a table")
    axes = {}
    for key, values in _flat(table):
        leaf, _, rest = key.partition(".")
        if not (key in SETTINGS or (leaf in TABLES and rest)):
            known = ", ".join([*SETTINGS, *(f"{name}.KEY" for name in TABLES)])
            raise EdgeFerError(f"no axis {key}; there are {known}")
        axes[key] = (ALL_FOLDS,) if (key, values) == ("fold", ALL_FOLDS) else _values(key, values)
    return axes


def _values(key: str, values: object) -> tuple[Any, ...]:
    if not isinstance(values, list) or not values:
        raise EdgeFerError(f"axis {key} has to be a list of values")
    kind = SETTINGS.get(key)
    for index, value in enumerate(values):
        if kind:
            _typed(f"axis {key}", value, kind)
        if value in values[:index]:
            raise EdgeFerError(f"axis {key} lists {value!r} twice")
    return tuple(values)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Reads ``set.mixup = 1`` as ``"set.mixup" = 1``: TOML makes a table of the former."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _typed(name: str, value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise EdgeFerError(f"{name} is {value!r}; expected {kind.__name__}")
    return value


def _number(name: str, value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise EdgeFerError(f"{name} is {value!r}; expected a number")
    return value
