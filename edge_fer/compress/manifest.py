"""What a bundle says of itself, from what was made and measured."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_fer.bundle import Manifest, ModelFile
from edge_fer.compress.artifacts import FLOAT, Artifact
from edge_fer.data.spec import TERMS
from edge_fer.evaluate.temperature import temperature_of
from edge_fer.models.complexity import describe
from edge_fer.train.checkpoint import Checkpoint
from edge_fer.versions import installed_versions

WEIGHTS_LICENCE = "Apache-2.0, as far as the terms of the training data allow"
_PACKAGES = ("edge-fer", "torch", "litert-torch", "ai-edge-quantizer", "onnx", "onnxruntime")
Figures = Mapping[str, Mapping[str, Any]]


def manifest_of(
    name: str,
    checkpoint: Checkpoint,
    source: Path,
    artifacts: Sequence[Artifact],
    figures: Figures,
    *,
    calibration: Mapping[str, Any],
    command: str,
) -> Manifest:
    """Returns the manifest of a bundle.

    Args:
        name: Of the bundle.
        checkpoint: The network.
        source: Its file.
        artifacts: The files that the bundle holds.
        figures: What was measured, by file name, float files included.
        calibration: What ranges were measured on, and how.
        command: The command line.
    """
    metadata = checkpoint.metadata
    complexity = describe(checkpoint.network, tuple(metadata["input_nchw"]))
    return Manifest(
        name=name,
        model=metadata["model"],
        labels=checkpoint.labels,
        preprocessing=checkpoint.preprocessing,
        params=complexity.params_total,
        params_trainable=complexity.params_trainable,
        macs=complexity.macs,
        files=tuple(model_file(artifact, figures) for artifact in artifacts),
        temperature=temperature_of(metadata, source),
        calibration=calibration,
        provenance={
            "command": command,
            "checkpoint_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "training": {key: metadata[key] for key in ("data", "split", "metrics", "command")},
            "classes_fitted": metadata.get("classes_fitted"),
            "temperature_fitted": metadata.get("temperature_fitted"),
            "float_layers": {a.name: kept for a in artifacts if (kept := kept_layers(a))},
            "versions": metadata["versions"] | installed_versions(_PACKAGES),
        },
        licences={"weights": WEIGHTS_LICENCE, "data": TERMS.get(metadata["data"], "not stated")},
    )


def kept_layers(artifact: Artifact) -> list[str]:
    """Names of the layers that a mixed file keeps in float, worst first."""
    return [damage.layer.name for damage in artifact.mixed.kept] if artifact.mixed else []


def model_file(artifact: Artifact, figures: Figures) -> ModelFile:
    """Returns an artifact's entry in a manifest."""
    return ModelFile(
        file=artifact.name,
        format=artifact.format,
        precision=artifact.precision,
        size_mb=len(artifact.content) / 1e6,
        sha256=artifact.sha256,
        input=artifact.engine.input,
        output=artifact.engine.output,
        params=artifact.summary.params,
        macs=artifact.summary.macs,
        arena_mb=artifact.summary.arena_bytes / 1e6,
        accuracy=_stated_accuracy(artifact, figures),
    )


def _stated_accuracy(artifact: Artifact, figures: Figures) -> dict[str, Any] | None:
    """A file's own figures and its float twin's, which an INT8-only bundle does not hold."""
    own, floats = figures[artifact.name], figures[f"model.{FLOAT}.{artifact.format}"]
    if "accuracy" not in own:
        return None
    twin = {f"float_{key}": floats[key] for key in ("accuracy", "accuracy_ci95")}
    return {**own, **twin}
