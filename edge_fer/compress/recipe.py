"""Quantization recipes: TOML files whose names decode.

``static_wi8_ai8`` reads: static ranges, weights int8, activations int8; ``_bias`` behind it: biases
corrected. The other modes are ``mixed`` (static, but the layers that cost most stay in float),
``dynamic`` (ranges measured while the network runs) and ``fp16`` (weights in half precision). Steps
before quantization stand in front: ``prune50_`` and ``qat_``.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_fer.compress.ranges import Method
from edge_fer.errors import EdgeFerError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "edge-fer/recipe/1"
PRECISION_OF_MODE = {"static": "int8", "mixed": "mixed", "dynamic": "wi8", "fp16": "fp16"}
_NAME = re.compile(
    r"(?P<mode>static|mixed)_wi(?P<weight_bits>8)_ai(?P<activation_bits>8)(?:_bias)?"
    r"|(?P<dynamic>dynamic)_wi8|(?P<half>fp16)"
)
_STEPS = re.compile(r"(?:(?P<prune>prune[1-9]\d?)_)?(?:(?P<qat>qat)_)?(?P<rest>.+)")
_KNOWN = "static_wi8_ai8, mixed_wi8_ai8, dynamic_wi8, fp16"


def split_steps(name: str) -> tuple[tuple[str, ...], str]:
    """Splits the steps before quantization off a recipe's name.

    ``prune50_qat_wi8_ai8`` is pruned to half its MACs, trained to bear rounding, and then
    quantized by ``static_wi8_ai8``, which ``qat_`` may leave unsaid.

    Returns:
        Of ``pruneNN`` (percent of the MACs to take away) and ``qat`` what there is, and the recipe
        behind them.

    Raises:
        EdgeFerError: Training for integers before something else.
    """
    match = _STEPS.fullmatch(name)
    if not match:
        return (), name
    steps = tuple(filter(None, (match["prune"], match["qat"])))
    rest = match["rest"]
    if match["qat"] and rest.startswith("wi8_ai8"):
        rest = f"static_{rest}"
    if match["qat"] and "ai8" not in rest:
        raise EdgeFerError(f"recipe {name!r}: qat is for integer activations, which {rest} lacks")
    return steps, rest


def decode(name: str) -> str:
    """Returns the mode that a recipe's name stands for: a key of ``PRECISION_OF_MODE``.

    Raises:
        EdgeFerError: The name does not decode.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise EdgeFerError(f"recipe {name!r} does not decode; known: {_KNOWN}")
    return match["mode"] or match["dynamic"] or match["half"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to quantize.

    Attributes:
        name: Decodes to the mode.
        devices: Which devices and engines it is for.
        choose_when: When to choose it.
        images: Calibration faces to take.
        seed: Of the draw, where the faces are drawn.
        method: How the ranges of activations are chosen.
        bias_correction: Take the mean error that rounded weights cause out of the biases.
        allowed_float_operators: Kinds that the audit lets stay in float.
    """

    name: str
    devices: str = ""
    choose_when: str = ""
    images: int = 500
    seed: int = 0
    method: Method = field(default_factory=Method)
    bias_correction: bool = False
    allowed_float_operators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        decode(self.name)
        if self.images < 1 or self.seed < 0:
            raise EdgeFerError(
                f"recipe {self.name!r}: images must be at least 1 and seed at least 0"
            )

    @property
    def mode(self) -> str:
        """``static``, ``mixed``, ``dynamic`` or ``fp16``."""
        return decode(self.name)

    @property
    def precision(self) -> str:
        """What the files are called by: ``int8``, ``mixed``, ``wi8`` or ``fp16``."""
        return PRECISION_OF_MODE[self.mode]

    @property
    def is_calibrated(self) -> bool:
        """True if ranges are measured on calibration faces."""
        return self.mode in {"static", "mixed"}

    def mixed(self) -> "Recipe":
        """Returns the same recipe in mixed precision.

        Raises:
            EdgeFerError: It is not one with static ranges.
        """
        if not self.is_calibrated:
            raise EdgeFerError(f"recipe {self.name!r} has no mixed form; static recipes have")
        return replace(self, name=self.name.replace("static", "mixed", 1))


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
    _refuse_unknown(document, {"schema", "devices", "choose_when", "calibration", "audit"}, path)
    return _recipe_from(document, path)


def _recipe_from(document: Mapping[str, Any], path: Path) -> Recipe:
    mode = decode(path.stem)
    try:
        common = Recipe(
            name=path.stem,
            devices=str(document.get("devices", "")),
            choose_when=str(document.get("choose_when", "")),
            allowed_float_operators=_strings(document["audit"]["allowed_float_operators"]),
        )
        if PRECISION_OF_MODE[mode] in {"wi8", "fp16"}:
            if "calibration" in document:
                raise EdgeFerError(f"{path}: {mode} needs no [calibration]")
            return common
        calibration = document["calibration"]
        _refuse_unknown(
            calibration, {"images", "seed", "method", "percentile", "bias_correction"}, path
        )
        corrected = calibration.get("bias_correction", False)
        if not isinstance(corrected, bool) or (path.stem.endswith("_bias") and not corrected):
            raise EdgeFerError(f"{path}: bias_correction must be true or false, as the name says")
        return replace(
            common,
            images=int(calibration["images"]),
            seed=int(calibration["seed"]),
            method=_method(calibration),
            bias_correction=corrected,
        )
    except EdgeFerError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise EdgeFerError(f"{path}: lacks or misspells {error}") from error


def _method(calibration: Mapping[str, Any]) -> Method:
    name = str(calibration["method"])
    if name == "percentile":
        return Method(name=name, percentile=float(calibration["percentile"]))
    return Method(name=name, percentile=float(calibration.get("percentile", 100)))


def _refuse_unknown(table: object, known: set[str], path: Path) -> None:
    unknown = set(table) - known if isinstance(table, Mapping) else set()
    if unknown:
        raise EdgeFerError(f"{path}: unknown keys {', '.join(sorted(unknown))}")


def _strings(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"a list of names, not {values!r}")
    return tuple(values)
