"""What a user says of a model of their own: labels, input and output, in a small TOML."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.errors import EdgeFerError
from edge_fer.preprocess import PIXEL_OFFSET, PIXEL_SCALE, Preprocessing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "edge-fer/model/1"
LAYOUTS = ("NCHW", "NHWC")
OUTPUTS = ("logits", "probabilities")
_KEYS = {"schema", "labels", "output", "input", "licence"}
_INPUT = {"height_px", "width_px", "color", "layout", "range", "scale", "offset", "crop_scale"}


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a model takes and gives.

    Attributes:
        labels: In the order of its outputs.
        output: ``logits`` or ``probabilities`` (it ends in a softmax).
        preprocessing: From a face to pixels of its size and colours.
        layout: ``NCHW`` or ``NHWC``.
        scale: The model is fed ``pixel * scale + offset``; one value, or one per channel.
        offset: As many as ``scale``.
        licence: Of the weights, in the user's words.
    """

    labels: tuple[str, ...]
    output: str
    preprocessing: Preprocessing
    layout: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    licence: str = "not stated"

    @property
    def channels(self) -> int:
        """Of the input."""
        return 1 if self.preprocessing.color == "gray" else 3

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``[1, C, H, W]`` or ``[1, H, W, C]``, as the model has it."""
        size = (self.preprocessing.height_px, self.preprocessing.width_px)
        return (1, self.channels, *size) if self.layout == "NCHW" else (1, *size, self.channels)

    @property
    def input_nchw(self) -> tuple[int, int, int, int]:
        """Input shape as our own networks have it."""
        return (1, self.channels, self.preprocessing.height_px, self.preprocessing.width_px)

    @property
    def gain(self) -> np.ndarray:
        """Float32 ``[1]`` or ``[C]``: what our input ``(pixel - 128) / 128`` is multiplied with."""
        return np.asarray(np.array(self.scale, np.float32) / np.float32(PIXEL_SCALE))

    @property
    def shift(self) -> np.ndarray:
        """Float32, as long as ``gain``: what is then added to become what the model expects."""
        of_128 = np.array(self.scale) * PIXEL_OFFSET + np.array(self.offset)
        return np.asarray(of_128, np.float32)

    @property
    def is_ours(self) -> bool:
        """Whether the model takes ``(pixel - 128) / 128`` as it is."""
        return bool(np.allclose(self.gain, 1, atol=1e-6) and np.allclose(self.shift, 0, atol=1e-6))

    def values(self, images: np.ndarray) -> np.ndarray:
        """Turns fitted pixels into what the model is fed.

        Args:
            images: uint8 ``[N, H, W]`` or ``[N, H, W, 3]``.

        Returns:
            float32 ``[N, C, H, W]`` or ``[N, H, W, C]``.
        """
        pixels_NHWC = images.reshape(*images.shape[:3], self.channels).astype(np.float32)
        scale, offset = (np.array(values, np.float32) for values in (self.scale, self.offset))
        values_NHWC = pixels_NHWC * scale + offset
        last = self.layout == "NHWC"
        return np.asarray(values_NHWC if last else values_NHWC.transpose(0, 3, 1, 2))


def read_description(path: Path) -> Description:
    """Reads the TOML that describes a model.

    Raises:
        EdgeFerError: The file is not TOML or does not follow the schema.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EdgeFerError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise EdgeFerError(f"{path}: not TOML ({error})") from error
    if document.get("schema") != SCHEMA:
        raise EdgeFerError(f"{path}: schema is {document.get('schema')!r}; expected {SCHEMA!r}")
    try:
        return _description(document)
    except (EdgeFerError, TypeError, ValueError) as error:
        raise EdgeFerError(f"{path}: {error}") from error


def _description(document: Mapping[str, Any]) -> Description:
    _require_keys(document, _KEYS, {"labels", "output", "input"}, "the file")
    source = document["input"]
    _require_keys(source, _INPUT, {"height_px", "width_px", "color", "layout"}, "[input]")
    places = {key: source[key] for key in ("height_px", "width_px", "color")}
    scaled = {key: source[key] for key in ("crop_scale",) if key in source}
    preprocessing = Preprocessing(**places, **scaled)
    scale, offset = _scaling(source)
    channels = 1 if preprocessing.color == "gray" else 3
    if len(scale) != len(offset) or len(scale) not in {1, channels}:
        raise EdgeFerError(f"scale and offset need one value each, or one for each of {channels}")
    return Description(
        labels=_labels(document["labels"]),
        output=_one_of(document["output"], OUTPUTS, "output"),
        preprocessing=preprocessing,
        layout=_one_of(source["layout"], LAYOUTS, "layout"),
        scale=scale,
        offset=offset,
        licence=str(document.get("licence", "not stated")),
    )


def _require_keys(table: object, known: set[str], needed: set[str], where: str) -> None:
    if not isinstance(table, Mapping):
        raise EdgeFerError(f"{where} is not a table")
    if missing := needed - set(table):
        raise EdgeFerError(f"{where} lacks {', '.join(sorted(missing))}")
    if unknown := set(table) - known:
        raise EdgeFerError(f"{where} has unknown keys: {', '.join(sorted(unknown))}")


def _scaling(source: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scale and offset, given as such or as the values of a black and a white pixel."""
    if ("range" in source) == ("scale" in source or "offset" in source):
        raise EdgeFerError("[input] needs either range, or scale and offset")
    if "range" in source:
        ends = _numbers(source["range"], "range")
        if len(ends) != 2 or ends[0] == ends[1]:
            raise EdgeFerError("range is [value of a black pixel, value of a white pixel]")
        return ((ends[1] - ends[0]) / 255,), (ends[0],)
    scale = _numbers(source.get("scale", 1.0), "scale")
    if not all(scale):
        raise EdgeFerError("scale must not be 0")
    return scale, _numbers(source.get("offset", [0.0] * len(scale)), "offset")


def _numbers(values: object, name: str) -> tuple[float, ...]:
    listed: list[Any] = values if isinstance(values, list) else [values]
    for value in listed:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
            raise EdgeFerError(f"{name} is no number: {value!r}")
    return tuple(float(value) for value in listed)


def _labels(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
        raise EdgeFerError("labels is not a list of names")
    if len(values) < 2 or len(set(values)) != len(values):
        raise EdgeFerError("labels needs at least two names, all different")
    return tuple(values)


def _one_of(value: object, known: tuple[str, ...], name: str) -> str:
    if value not in known:
        raise EdgeFerError(f"{name} is {value!r}; known: {', '.join(known)}")
    return str(value)
