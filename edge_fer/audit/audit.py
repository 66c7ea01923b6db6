"""``edge-fer audit``: what is in a model file, what of it is integer, and what runs where."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fer.audit.delegates import coverage
from edge_fer.audit.engine import ask_litert, ask_onnxruntime
from edge_fer.audit.isolate import isolated
from edge_fer.audit.model import NARROW, ModelGraph, Tensor, place
from edge_fer.audit.patterns import find_patterns
from edge_fer.audit.read_onnx import read_onnx
from edge_fer.audit.read_tflite import read_tflite
from edge_fer.audit.slow import slow_operators
from edge_fer.audit.verdicts import verdicts
from edge_fer.bundle import Bundle
from edge_fer.errors import ModelError
from edge_fer.preprocess import Preprocessing
from edge_fer.runtime.engines import installed_engines

SCHEMA = "edge-fer/audit/1"
READERS = {"tflite": read_tflite, "onnx": read_onnx}
_ASK = {"tflite": ("litert", ask_litert), "onnx": ("onnxruntime", ask_onnxruntime)}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model file to audit.

    Attributes:
        name: For the report.
        content: The file's bytes.
        format: ``tflite`` or ``onnx``.
        claims_int8: Whether its name or its bundle's manifest says that it is INT8.
        preprocessing: Of its bundle; None for a bare file.
    """

    name: str
    content: bytes
    format: str
    claims_int8: bool
    preprocessing: Preprocessing | None = None


def document_of(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Puts audited files into a document of schema ``edge-fer/audit/1``."""
    errors = sum(one["severity"] == "error" for file in files for one in file["verdicts"])
    return {"schema": SCHEMA, "errors": errors, "files": files}


def subjects(path: Path) -> list[Subject]:
    """Reads one bare file, or the files of a bundle.

    Raises:
        ModelError: No such file, or one that cannot be read.
    """
    format_ = path.suffix.lower().lstrip(".")
    if format_ not in READERS:
        return _of_bundle(Bundle.load(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    claims = "int8" in path.name.lower()
    return [Subject(name=str(path), content=content, format=format_, claims_int8=claims)]


def _of_bundle(bundle: Bundle) -> list[Subject]:
    return [
        Subject(
            name=f"{bundle.manifest.name}/{one.file}",
            content=bundle.contents[one.file],
            format=one.format,
            claims_int8=one.precision == "int8",
            preprocessing=bundle.manifest.preprocessing,
        )
        for one in bundle.manifest.files
    ]


def audit_file(subject: Subject) -> dict[str, Any]:
    """Audits one file.

    Returns:
        One of ``files`` of ``edge-fer/audit/1``.

    Raises:
        ModelError: The bytes are not a whole model.
    """
    graph = READERS[subject.format](subject.content, subject.name)
    document: dict[str, Any] = {
        "file": subject.name,
        "format": graph.format,
        "size_mb": len(subject.content) / 1e6,
        "quantized": graph.is_quantized,
        "inputs": [_tensor(graph.tensors[key]) for key in graph.inputs],
        "outputs": [_tensor(graph.tensors[key]) for key in graph.outputs],
        "macs": _macs(graph),
        "operators": _kinds(graph),
        "float_operators": _floats(graph) if graph.is_quantized else [],
        "weights": _weights(graph),
        "patterns": find_patterns(graph),
        "slow": slow_operators(graph),
        "delegates": coverage(graph),
        "engine": _engine(subject),
        "layers": None,
    }
    document["verdicts"] = verdicts(graph, document, claims_int8=subject.claims_int8)
    return document


def _tensor(tensor: Tensor) -> dict[str, Any]:
    one = len(tensor.scales) == 1
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "scale": tensor.scales[0] if one else None,
        "zero_point": tensor.zero_points[0] if one and tensor.zero_points else None,
    }


def _macs(graph: ModelGraph) -> dict[str, Any]:
    floats = sum(one.macs for one in graph.operators if graph.is_float(one))
    total = graph.macs
    return {
        "total": total,
        "integer": total - floats,
        "float": floats,
        "integer_share": 1 - floats / total if total else None,
    }


def _kinds(graph: ModelGraph) -> list[dict[str, Any]]:
    """A row per kind, those with most MACs first."""
    counts = Counter(one.kind for one in graph.operators)
    floats = Counter(one.kind for one in graph.operators if graph.is_float(one))
    macs: Counter[str] = Counter()
    for one in graph.operators:
        macs[one.kind] += one.macs
    rows = [
        {"kind": kind, "count": count, "float": floats[kind], "macs": macs[kind]}
        for kind, count in counts.items()
    ]
    return sorted(rows, key=lambda row: (-int(str(row["macs"])), -int(str(row["count"]))))


def _floats(graph: ModelGraph) -> list[dict[str, Any]]:
    return [
        {
            **place(graph, one),
            "macs": one.macs,
            "types": sorted(graph.types(one)),
            "hybrid": graph.is_hybrid(one),
        }
        for one in graph.operators
        if graph.is_float(one)
    ]


def _weights(graph: ModelGraph) -> dict[str, Any]:
    found = [weight for one in graph.operators if (weight := graph.weight(one))]
    quantized = [one for one in found if one.dtype in NARROW]
    per_tensor = [one for one in quantized if len(one.scales) < 2 and channels(one) > 1]
    asymmetric = [one for one in quantized if any(one.zero_points)]
    return {
        "float": sum(one.is_float for one in found),
        "per_channel": len(quantized) - len(per_tensor),
        "per_tensor": len(per_tensor),
        "asymmetric": len(asymmetric),
        "types": sorted({one.dtype for one in found}),
        "per_tensor_names": [one.name for one in per_tensor],
    }


def channels(weight: Tensor) -> int:
    """Number of output channels of a weight, or 1 if only one of its sizes is not 1."""
    sizes = [size for size in weight.shape if size > 1]
    return max(weight.shape[0], weight.shape[-1]) if len(sizes) > 1 else 1


def _engine(subject: Subject) -> dict[str, Any] | None:
    """What the engine of this machine says; None where it is not installed."""
    engine, ask = _ASK[subject.format]
    if engine not in installed_engines():
        return None
    try:
        answer: dict[str, Any] = isolated(ask, subject.content, name=subject.name)
    except ModelError as error:
        return {"engine": engine, "problem": str(error)}
    return answer
