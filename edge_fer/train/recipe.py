"""Training recipes: TOML files, one per system and dataset, and ``modern``.

Top-level keys of a stage are defaults of every ``[[stage]]``; a file without stages is one stage. A
file with ``base`` is another one with its own head and the changes of its table ``[set]``.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from edge_fer.data.augment import Augmentation
from edge_fer.errors import EdgeFerError
from edge_fer.resources import find_resource
from edge_fer.train.config import Stage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "edge-fer/training/1"
_STAGE_KEYS = {field.name for field in fields(Stage)}
_RANGES = {field.name for field in fields(Augmentation)}
_HEAD_KEYS = {"schema", "source", "model", "options", "pretrained", "input_px", "stage"}
_DERIVED_KEYS = _HEAD_KEYS - {"stage"} | {"base", "set"}


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """How a network is trained.

    Attributes:
        name: The file's stem.
        source: Where it comes from, and what the source leaves open.
        stages: Done in order.
        model: Which model it is meant for; empty for any.
        options: Of that model.
        pretrained: Whether it starts from weights of others, and whose: ``package`` or ``file``.
        input_px: Side of the input; 0: the model's own.
    """

    name: str
    source: str
    stages: tuple[Stage, ...]
    model: str = ""
    options: Mapping[str, Any]
    pretrained: str = ""
    input_px: int = 0


def read_training_recipe(path: Path, changes: Mapping[str, Any] | None = None) -> TrainingRecipe:
    """Reads a recipe file and changes it.

    Args:
        path: A TOML file.
        changes: New values by key: ``epochs`` of every stage, ``head.epochs`` of the stage
            ``head``, ``augmentation.flip`` or ``head.augmentation.flip`` of their augmentation.

    Raises:
        EdgeFerError: The file is not TOML or does not follow the schema, or a change names nothing.
    """
    document, own_changes = _read(path)
    try:
        tables = [_merged(document, table) for table in document.get("stage", [{}])]
        for key, value in {**own_changes, **(changes or {})}.items():
            _change(tables, key, value)
        stages = tuple(_stage(table) for table in tables)
        head = {
            key: document[key] for key in ("model", "pretrained", "input_px") if key in document
        }
        options = dict(document.get("options", {}))
        source = str(document["source"])
    except EdgeFerError as error:
        raise EdgeFerError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EdgeFerError(f"{path}: lacks or misspells {error}") from error
    return TrainingRecipe(name=path.stem, source=source, stages=stages, options=options, **head)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the document with its base's values, and the changes of both."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeFerError(f"{path}: not a readable recipe ({error})") from error
    if document.get("schema") != SCHEMA:
        raise EdgeFerError(f"{path}: schema is {document.get('schema')!r}; expected {SCHEMA!r}")
    derived = "base" in document
    unknown = sorted(set(document) - (_DERIVED_KEYS if derived else _HEAD_KEYS | _STAGE_KEYS))
    if unknown:
        raise EdgeFerError(f"{path}: unknown keys {', '.join(unknown)}")
    if not derived:
        return document, {}
    base = find_resource("training", str(document["base"]))
    if base.resolve() == path.resolve():
        raise EdgeFerError(f"{path}: its base is itself")
    below, changes = _read(base)
    own = document.get("set", {})
    if not isinstance(own, dict):
        raise EdgeFerError(f"{path}: [set] has to be a table")
    kept = {key: value for key, value in document.items() if key not in ("base", "set")}
    return below | kept, changes | own


def parse_changes(texts: list[str]) -> dict[str, Any]:
    """Reads ``KEY=VALUE``; a value that is JSON becomes what it says, any other stays text."""
    changes = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise EdgeFerError(f"{text!r} is not KEY=VALUE")
        try:
            changes[key] = json.loads(value)
        except ValueError:
            changes[key] = value
    return changes


def _merged(document: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    merged = {key: value for key, value in document.items() if key in _STAGE_KEYS} | dict(table)
    ranges = dict(document.get("augmentation", {})) | dict(table.get("augmentation", {}))
    return merged | {"augmentation": ranges}


def _change(tables: list[dict[str, Any]], key: str, value: Any) -> None:
    stage, _, rest = key.partition(".")
    named = [table for table in tables if table.get("name") == stage and rest]
    leaf = rest if named else key
    for table in named or tables:
        if leaf.startswith("augmentation."):
            table["augmentation"] = table["augmentation"] | {leaf.partition(".")[2]: value}
        elif leaf in _STAGE_KEYS - {"name", "augmentation"}:
            table[leaf] = value
        else:
            known = sorted(_STAGE_KEYS - {"name", "augmentation"})
            raise EdgeFerError(
                f"no setting {key!r}; there are {', '.join(known)} and augmentation.RANGE"
            )


def _stage(table: Mapping[str, Any]) -> Stage:
    unknown = sorted(set(table) - _STAGE_KEYS)
    if unknown:
        raise EdgeFerError(f"a stage has no setting {', '.join(unknown)}")
    ranges = table["augmentation"]
    strange = sorted(set(ranges) - _RANGES)
    if strange:
        raise EdgeFerError(f"augmentation has no range {', '.join(strange)}")
    values = {key: _like_default(key, value) for key, value in table.items()}
    return Stage(**values | {"augmentation": Augmentation(**ranges)})


def _like_default(key: str, value: Any) -> Any:
    default = getattr(Stage, key, None)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if default is not None and not isinstance(value, type(default)):
        raise EdgeFerError(f"{key} is {value!r}; expected {type(default).__name__}")
    return value
