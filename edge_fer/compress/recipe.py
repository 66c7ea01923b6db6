"""Quantization recipes: TOML files whose names decode.

``static_wi8_ai8`` reads: static ranges, weights int8, activations int8.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fer.errors import EdgeFerError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "edge-fer/recipe/1"
_NAME = re.compile(r"(?P<mode>static)_wi(?P<weight_bits>8)_ai(?P<activation_bits>8)")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to quantize.

    Attributes:
        name: Decodes to mode and bits.
        images: Calibration faces to draw.
        seed: Of the draw.
        allowed_float_operators: Kinds that the audit lets stay in float.
    """

    name: str
    images: int
    seed: int
    allowed_float_operators: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise EdgeFerError(f"recipe {self.name!r}: this version quantizes static_wi8_ai8 only")
        if self.images < 1 or self.seed < 0:
            raise EdgeFerError(
                f"recipe {self.name!r}: images must be at least 1 and seed at least 0"
            )


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe file; its stem is the recipe's name.

    Raises:
        EdgeFerError: The file is not TOML or does not follow the schema.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgeFerError(f"{path}: not a readable recipe ({error})") from error
    if document.get("schema") != SCHEMA:
        raise EdgeFerError(f"{path}: schema is {document.get('schema')!r}; expected {SCHEMA!r}")
    return _recipe_from(document, path)


def _recipe_from(document: Mapping[str, Any], path: Path) -> Recipe:
    try:
        calibration, audit = document["calibration"], document["audit"]
        if calibration["method"] != "min_max":
            raise EdgeFerError(f"{path}: unknown calibration method {calibration['method']!r}")
        return Recipe(
            name=path.stem,
            images=int(calibration["images"]),
            seed=int(calibration["seed"]),
            allowed_float_operators=_strings(audit["allowed_float_operators"]),
        )
    except EdgeFerError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise EdgeFerError(f"{path}: lacks or misspells {error}") from error


def _strings(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"a list of names, not {values!r}")
    return tuple(values)
