"""From face pixels to probabilities, through any artifact of a bundle."""

import numpy as np

from edge_fer.bundle import Bundle, ModelFile, Tensor
from edge_fer.errors import ModelError
from edge_fer.preprocess import normalise, to_tensor_shape
from edge_fer.runtime.engines import ENGINE_FORMATS, ENGINES, installed_engines, load_engine
from edge_fer.target import preferred_engines

#: Of files, the one to run first: whole integers, then as much of it as there is.
PRECISIONS = ("int8", "mixed", "wi8", "fp16", "fp32")


class Classifier:
    """One artifact of a bundle, loaded.

    Args:
        bundle: A verified bundle.
        model_file: Which of its artifacts.
        engine: Name of the engine that reads the artifact's format.
        threads: Of one inference.

    Raises:
        ModelError: The engine does not read this format, is missing, or refuses the file.
        BundleError: The bundle is a face detector's.
    """

    def __init__(
        self, bundle: Bundle, model_file: ModelFile, engine: str, threads: int = 1
    ) -> None:
        bundle.require("classify")
        name = f"{bundle.path}/{model_file.file}"
        if ENGINE_FORMATS.get(engine) != model_file.format:
            raise ModelError(f"{name}: {engine} does not read {model_file.format}")
        self.labels = bundle.manifest.labels
        self.preprocessing = bundle.manifest.preprocessing
        self.temperature = bundle.manifest.temperature
        self.model_file = model_file
        self._engine = load_engine(engine, bundle.contents[model_file.file], name, threads=threads)
        self._input_of_pixel = input_of_pixel(self._engine.input)

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Returns float32 ``[K]`` for face pixels as ``Preprocessing.fit`` gives them."""
        x = to_tensor_shape(self._input_of_pixel[pixels], self._engine.input.shape)
        return from_output(self._engine(x), self._engine.output)

    def probabilities(self, logits_K: np.ndarray) -> np.ndarray:
        """Returns float32 ``[K]`` that sums to 1: softmax at the bundle's temperature."""
        return softmax(logits_K / self.temperature)


def input_of_pixel(tensor: Tensor) -> np.ndarray:
    """Returns ``[256]``: each uint8 pixel normalised, and quantized if ``tensor`` is integer."""
    x = normalise(np.arange(256, dtype=np.uint8))
    if tensor.dtype == "float32":
        return x
    limits = np.iinfo(tensor.dtype)
    steps = np.rint(x / np.float32(tensor.scale)) + tensor.zero_point
    return steps.clip(limits.min, limits.max).astype(tensor.dtype)


def from_output(raw: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Turns an output tensor into float32 logits ``[K]``."""
    values = raw.reshape(-1).astype(np.float32)
    return (values - tensor.zero_point) * np.float32(tensor.scale)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, float32."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True), np.float32)


def _engines_here() -> list[str]:
    installed = installed_engines()
    preferred = [name for name in preferred_engines() if name in installed]
    return preferred + [name for name in installed if name not in preferred]


def choose_file(bundle: Bundle, engine: str | None = None) -> tuple[ModelFile, str]:
    """Picks the artifact to run here: integers before float, in the order of the target's profile.

    Raises:
        ModelError: No artifact of the bundle has an engine that is installed.
    """
    if engine and engine not in ENGINES:
        raise ModelError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
    engines = [engine] if engine else _engines_here()
    for precision in PRECISIONS:
        for name in engines:
            for model_file in bundle.manifest.files:
                if (model_file.format, model_file.precision) == (
                    ENGINE_FORMATS.get(name),
                    precision,
                ):
                    return model_file, name
    formats = ", ".join(sorted({model_file.format for model_file in bundle.manifest.files}))
    raise ModelError(f"{bundle.path}: no engine among {engines} reads its formats ({formats})")
