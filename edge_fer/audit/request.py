"""What ``edge-fer audit`` is asked, put together."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_fer.audit.audit import READERS, Subject, audit_file, document_of, subjects
from edge_fer.audit.layers import layer_errors
from edge_fer.errors import EdgeFerError, ModelError


def audit(
    paths: Sequence[Path], reference: Path | None = None, data: str | None = None
) -> dict[str, Any]:
    """Audits model files, and every file of bundles.

    Args:
        paths: Bundles, ``.tflite`` and ``.onnx`` files.
        reference: Float twin, to measure the layers of the quantized files of its format.
        data: Specification of the faces to measure them on.

    Returns:
        A document of schema ``edge-fer/audit/1``: ``files`` and the number of ``errors``.

    Raises:
        EdgeFerError: A file or the faces cannot be read.
    """
    if (reference is None) != (data is None):
        raise EdgeFerError("--reference and --data go together")
    asked = [subject for path in paths for subject in subjects(path)]
    files = [audit_file(subject) for subject in asked]
    if reference is not None and data is not None:
        _measure_layers(asked, files, reference, data)
    return document_of(files)


def _measure_layers(
    asked: list[Subject], files: list[dict[str, Any]], path: Path, data: str
) -> None:
    """Fills ``layers`` of the quantized files that have the reference's format."""
    (reference,) = subjects(path)[:1]
    twin = READERS[reference.format](reference.content, reference.name)
    if twin.is_quantized:
        raise ModelError(f"{path}: the reference is not a float model")
    measured = 0
    for subject, document in zip(asked, files, strict=True):
        if subject.format == reference.format and document["quantized"]:
            graph = READERS[subject.format](subject.content, subject.name)
            document["layers"] = layer_errors(subject, graph, reference, twin, data)
            measured += 1
    if not measured:
        raise ModelError(f"{path}: no quantized .{reference.format} file to compare with it")
