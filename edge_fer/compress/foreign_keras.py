"""Keras models (``.keras`` and ``.h5``), through TensorFlow's converter.

Keras refuses Lambda layers where it is asked to be safe; but the names of classes and functions in
a file also say what is called when it is read. So the file's own account of its layers is read
first, and whatever is not one of Keras's own is refused.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.compress.description import Description
from edge_fer.compress.foreign_model import ForeignModel, no_softmax
from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.export.quiet import quiet

_MODULES = (
    "keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints",
    "keras.activations", "keras.models", "keras.src.models", "keras.dtype_policies",
    "keras.src.engine",
)  # fmt: skip
_REFUSED = frozenset({"Lambda", "__lambda__", "function", "__numpy__", "TorchModuleWrapper"})
_BATCH = 64


def open_keras(path: Path, description: Description) -> ForeignModel:
    """Reads a Keras model and converts it to TFLite.

    Raises:
        ModelError: The file cannot be read, has layers that are not Keras's own, or is no
            classifier of faces.
        MissingExtraError: TensorFlow is not installed.
    """
    try:
        with quiet():
            import tensorflow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Reading a Keras model", "keras") from error
    model = _load(path)
    _require_ends(model, description, path)
    with quiet():
        logits = _load(path)
        if description.output == "probabilities":
            logits = _without_softmax(logits, path)
        content = _converted(_as_ours(logits, description), path)
    return ForeignModel(
        floats={"tflite": content},
        scores=lambda images: _scores(model, description.values(images)),
        params=int(model.count_params()),
    )


def _load(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        config = _config(path)
    except Exception as error:  # zip, HDF5 and JSON errors share no base
        raise ModelError(f"{path}: not a readable Keras model ({error})") from error
    for entry in _objects(config):
        _require_own(entry, path)
    try:
        with quiet():
            import keras

            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever it met
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: Keras cannot read it ({first_line})") from error


def _config(path: Path) -> Any:
    """The file's own account of its layers."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read("config.json"))
    import h5py

    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Whatever is built when the file is read; the optimizer and losses are not."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for key, inner in value.items():
            if key != "compile_config":
                yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


def _require_own(entry: dict[str, Any], path: Path) -> None:
    name, module = str(entry["class_name"]), entry.get("module")
    if name in _REFUSED:
        raise ModelError(f"{path}: has a {name} in it, which is code; build it of Keras's layers")
    known = module is None or module == "keras" or str(module).startswith(_MODULES)
    if not known or ">" in str(entry.get("registered_name") or ""):
        raise ModelError(f"{path}: {name} of {module} is not one of Keras's own layers")


def _require_ends(model: Any, description: Description, path: Path) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(f"{path}: needs one input and one output")
    found, wanted = tuple(model.inputs[0].shape), description.input_shape
    pairs = zip(found, wanted, strict=False)
    if len(found) != 4 or any(size not in {None, value} for size, value in pairs):
        raise ModelError(f"{path}: takes {list(found)}, not {list(wanted)} as described")


def _without_softmax(model: Any, path: Path) -> Any:
    import keras

    last = model.outputs[0]._keras_history.operation
    activation = getattr(last, "activation", None)
    alone = isinstance(last, (keras.layers.Softmax, keras.layers.Activation))
    if isinstance(last, keras.layers.Softmax) or (
        alone and activation is keras.activations.softmax
    ):
        return keras.Model(model.inputs, last.input)
    if activation is not keras.activations.softmax:
        raise no_softmax(str(path))
    last.activation = keras.activations.linear
    return model


def _as_ours(model: Any, description: Description) -> Any:
    """The model behind an input of ours, ``(pixel - 128) / 128`` as ``[1, H, W, C]``."""
    import keras

    _, channels, height, width = description.input_nchw
    pixels = keras.Input(batch_shape=(1, height, width, channels), name="pixels")
    x = pixels
    if not description.is_ours:
        gain, shift = (values.tolist() for values in (description.gain, description.shift))
        one = len(gain) == 1
        x = keras.layers.Rescaling(gain[0] if one else gain, shift[0] if one else shift)(x)
    if description.layout == "NCHW":
        x = keras.layers.Permute((3, 1, 2))(x)
    return keras.Model(pixels, model(x))


def _converted(model: Any, path: Path) -> bytes:
    import tensorflow as tf

    try:
        return bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    except Exception as error:  # the converter raises whatever it met
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: TensorFlow cannot convert it ({first_line})") from error


def _scores(model: Any, values: np.ndarray) -> np.ndarray:
    batches = [
        np.asarray(model(values[first : first + _BATCH], training=False))
        for first in range(0, len(values), _BATCH)
    ]
    return np.concatenate(batches).astype(np.float32)
