"""What is measured: the files of bundles, and bare files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fer.bundle import Bundle, ModelFile
from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.graph import GraphSummary, summarise_tflite


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model file to measure.

    Attributes:
        name: For the table, e.g. ``bundle/model.int8.tflite``.
        format: ``tflite`` or ``onnx``.
        precision: ``fp32``, ``int8``, or what the input's type says.
        content: The file's bytes.
        params: Total of the network for a bundle, stored values for a bare file.
        macs: Of one inference.
        arena_mb: Peak of activations alive at once.
        model: Name in the zoo, where it is known.
        accuracy: Fraction, where the bundle was evaluated.
        accuracy_ci95: Its interval.
        accuracy_on: The data it was evaluated on.
    """

    name: str
    format: str
    precision: str
    content: bytes
    params: int | None
    macs: int | None
    arena_mb: float | None
    model: str | None = None
    accuracy: float | None = None
    accuracy_ci95: tuple[float, ...] | None = None
    accuracy_on: str | None = None


def read_subjects(path: Path) -> list[Subject]:
    """Reads a bundle's files, or one bare file.

    Raises:
        EdgeFerError: It is neither, or cannot be read.
    """
    if path.suffix in {".tflite", ".onnx"}:
        return [_bare_file(path)]
    bundle = Bundle.load(path)
    return [_of_bundle(bundle, model_file) for model_file in bundle.manifest.files]


def _of_bundle(bundle: Bundle, model_file: ModelFile) -> Subject:
    evaluation: Mapping[str, Any] = model_file.accuracy or {}
    bounds = evaluation.get("accuracy_ci95")
    return Subject(
        name=f"{bundle.manifest.name}/{model_file.file}",
        format=model_file.format,
        precision=model_file.precision,
        content=bundle.contents[model_file.file],
        params=bundle.manifest.params,
        macs=model_file.macs,
        arena_mb=model_file.arena_mb,
        model=bundle.manifest.model,
        accuracy=evaluation.get("accuracy"),
        accuracy_ci95=tuple(bounds) if bounds else None,
        accuracy_on=evaluation.get("compared_on"),
    )


def _bare_file(path: Path) -> Subject:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    summary = _summary(path, content)
    return Subject(
        name=path.name,
        format=path.suffix[1:],
        precision="fp32" if summary is None or "FLOAT" in summary.input_type else "int8",
        content=content,
        params=summary.params if summary else None,
        macs=summary.macs if summary else None,
        arena_mb=summary.arena_bytes / 1e6 if summary else None,
    )


def _summary(path: Path, content: bytes) -> GraphSummary | None:
    """Counts of a bare file; ``None`` for ONNX where the ``onnx`` package is missing."""
    if path.suffix == ".tflite":
        return summarise_tflite(content, str(path))
    from edge_fer.export.onnx_graph import summarise_onnx

    try:
        return summarise_onnx(content, str(path))
    except MissingExtraError:
        return None
