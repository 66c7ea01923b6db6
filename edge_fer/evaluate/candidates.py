"""What is evaluated: a checkpoint through torch, or an artifact of a bundle through an engine."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_fer.bundle import Bundle, ModelFile
from edge_fer.errors import ModelError
from edge_fer.evaluate.predict import engine_logits, torch_logits
from edge_fer.evaluate.temperature import temperature_of
from edge_fer.resources import find_resource
from edge_fer.runtime.engines import ENGINE_FORMATS, installed_engines, load_engine


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One network on one engine.

    Attributes:
        model: Checkpoint or bundle, as the user named it.
        file: Name of the file.
        format: ``safetensors``, ``tflite`` or ``onnx``.
        precision: ``fp32`` or ``int8``.
        engine: ``torch`` or a name in ``ENGINES``.
        labels: Output order.
        temperature: Divides the logits before softmax.
        logits: From uint8 face crops ``[N, H, W]`` to float32 ``[N, K]``.
    """

    model: Path
    file: str
    format: str
    precision: str
    engine: str
    labels: tuple[str, ...]
    temperature: float
    logits: Callable[[np.ndarray], np.ndarray]

    @property
    def head(self) -> dict[str, str]:
        """Says in a document which one it is."""
        return {
            "model": str(self.model),
            "file": self.file,
            "format": self.format,
            "precision": self.precision,
            "engine": self.engine,
        }


def candidates_of(model: Path) -> list[Candidate]:
    """Loads ``*.safetensors`` for torch, or every file of a bundle for every engine installed.

    Args:
        model: A path; what is none may be the name of a bundle that ships.

    Raises:
        EdgeFerError: There is no such model, it is damaged, or no engine here reads its files.
    """
    if model.suffix == ".safetensors":
        return [_of_checkpoint(model)]
    bundle = Bundle.load(model if model.exists() else find_resource("bundle", str(model)))
    bundle.require("classify")
    candidates = [
        _of_file(model, bundle, model_file, engine)
        for model_file in bundle.manifest.files
        for engine in installed_engines()
        if ENGINE_FORMATS[engine] == model_file.format
    ]
    if not candidates:
        formats = ", ".join(sorted({file.format for file in bundle.manifest.files})) or "none"
        raise ModelError(f"{model}: no engine installed here reads its files ({formats})")
    return candidates


def _of_checkpoint(path: Path) -> Candidate:
    from edge_fer.train.checkpoint import load_checkpoint  # brings torch, which a device lacks

    checkpoint = load_checkpoint(path)
    return Candidate(
        model=path,
        file=path.name,
        format="safetensors",
        precision="fp32",
        engine="torch",
        labels=checkpoint.labels,
        temperature=temperature_of(checkpoint.metadata, path),
        logits=lambda images_NHW: torch_logits(
            checkpoint.network, images_NHW, checkpoint.preprocessing
        ),
    )


def _of_file(model: Path, bundle: Bundle, model_file: ModelFile, engine: str) -> Candidate:
    manifest = bundle.manifest
    loaded = load_engine(engine, bundle.contents[model_file.file], model_file.file)
    return Candidate(
        model=model,
        file=model_file.file,
        format=model_file.format,
        precision=model_file.precision,
        engine=engine,
        labels=manifest.labels,
        temperature=temperature_of({"temperature": manifest.temperature}, bundle.path),
        logits=lambda images_NHW: engine_logits(loaded, images_NHW, manifest.preprocessing),
    )
