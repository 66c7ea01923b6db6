"""From a checkpoint to a bundle: float and INT8, TFLite and ONNX, compared on the same faces."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bundle import Bundle, Manifest, ModelFile, save_bundle
from edge_fer.compress.audit import audit_int8
from edge_fer.compress.calibrate import calibration_faces
from edge_fer.compress.quantize_onnx import quantize_onnx
from edge_fer.compress.quantize_tflite import quantize_tflite
from edge_fer.compress.recipe import Recipe
from edge_fer.data.faces import Faces
from edge_fer.data.spec import TERMS
from edge_fer.errors import ModelError
from edge_fer.evaluate.evaluate import read_labelled, require_same_labels
from edge_fer.evaluate.metrics import report, wilson_interval
from edge_fer.evaluate.predict import engine_logits, torch_logits
from edge_fer.export.onnx import export_onnx
from edge_fer.export.onnx_graph import summarise_onnx
from edge_fer.export.tflite import export_tflite
from edge_fer.graph import GraphSummary, summarise_tflite
from edge_fer.models.complexity import describe
from edge_fer.runtime.classifier import softmax
from edge_fer.runtime.engines import ENGINE_FORMATS, Engine, load_engine
from edge_fer.train.checkpoint import Checkpoint, load_checkpoint
from edge_fer.versions import installed_versions

SCHEMA = "edge-fer/quantize/1"
FLOAT, INT8 = "fp32", "int8"
WEIGHTS_LICENCE = "Apache-2.0, as far as the terms of the training data allow"
_ENGINE_OF = {format_: engine for engine, format_ in ENGINE_FORMATS.items()}
_PACKAGES = ("edge-fer", "torch", "litert-torch", "ai-edge-quantizer", "onnx", "onnxruntime")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to quantize and how to judge it.

    Attributes:
        checkpoint: ``*.safetensors``.
        recipe: How.
        calibration: Specification of the calibration faces.
        out: Bundle folder to write.
        evaluation: Specification of labelled faces; without it labels are compared with torch's
            on the calibration faces.
        split: Split of ``evaluation``.
        int8_only: Leave the float files out of the bundle.
        command: The command line, for the manifest.
    """

    checkpoint: Path
    recipe: Recipe
    calibration: str
    out: Path
    evaluation: str | None = None
    split: str = "PrivateTest"
    int8_only: bool = False
    command: str = ""


@dataclass
class Stages:
    """Times the stages of a job and announces each.

    Attributes:
        announce: Called with a stage's name when it starts.
        seconds: Duration of each finished stage.
    """

    announce: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Runs the body as one stage."""
        self.announce(name)
        started_at = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started_at


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One model file in the making."""

    name: str
    content: bytes
    engine: Engine
    summary: GraphSummary

    @property
    def format(self) -> str:
        """``tflite`` or ``onnx``."""
        return self.name.rpartition(".")[2]

    @property
    def precision(self) -> str:
        """``fp32`` or ``int8``."""
        return self.name.split(".")[1]


def quantize(request: Request, announce: Callable[[str], None]) -> dict[str, Any]:
    """Exports, quantizes, audits, compares and writes the bundle.

    Args:
        request: What to do.
        announce: Called with the name of each stage when it starts.

    Returns:
        A document of schema ``edge-fer/quantize/1``: ``rows``, one per file, and ``stages_s``.

    Raises:
        EdgeFerError: Checkpoint, data or output cannot be used, or a quantized file is not
            all-integer.
    """
    stages = Stages(announce)
    with stages.stage("read checkpoint and faces"):
        checkpoint = load_checkpoint(request.checkpoint)
        evaluation = _evaluation(request, checkpoint)
        calibration_images = calibration_faces(
            request.calibration,
            checkpoint.preprocessing,
            images=request.recipe.images,
            seed=request.recipe.seed,
        )
    artifacts = _make_artifacts(checkpoint, calibration_images, stages)
    with stages.stage("audit"):
        _require_int8(artifacts, request.recipe)
    with stages.stage("compare"):
        figures = _compare(checkpoint, artifacts, calibration_images, evaluation)
    with stages.stage("write the bundle"):
        kept = [a for a in artifacts if not (request.int8_only and a.precision == FLOAT)]
        manifest = _manifest(request, checkpoint, kept, figures, len(calibration_images))
        save_bundle(request.out, manifest, {a.name: a.content for a in kept})
        Bundle.load(request.out)
    return {
        "schema": SCHEMA,
        "bundle": str(request.out),
        "rows": [_row(artifact, figures) for artifact in artifacts],
        "stages_s": stages.seconds,
    }


def _evaluation(request: Request, checkpoint: Checkpoint) -> tuple[Faces, np.ndarray] | None:
    if request.evaluation is None:
        return None
    faces, leaked_N = read_labelled(request.evaluation, request.split)
    require_same_labels(checkpoint.labels, faces)
    return faces, leaked_N


def _make_artifacts(
    checkpoint: Checkpoint, calibration_images: np.ndarray, stages: Stages
) -> list[Artifact]:
    shape = tuple(checkpoint.metadata["input_nchw"])
    with stages.stage("export TFLite"):
        tflite = export_tflite(checkpoint.network, shape)
    with stages.stage("export ONNX"):
        onnx = export_onnx(checkpoint.network, shape)
    with stages.stage("quantize TFLite"):
        tflite_int8 = quantize_tflite(tflite, calibration_images)
    with stages.stage("quantize ONNX"):
        onnx_int8 = quantize_onnx(onnx, calibration_images)
    return [
        _artifact("model.fp32.tflite", tflite, summarise_tflite),
        _artifact("model.int8.tflite", tflite_int8, summarise_tflite),
        _artifact("model.fp32.onnx", onnx, summarise_onnx),
        _artifact("model.int8.onnx", onnx_int8, summarise_onnx),
    ]


def _artifact(
    name: str, content: bytes, summarise: Callable[[bytes, str], GraphSummary]
) -> Artifact:
    engine = load_engine(_ENGINE_OF[name.rpartition(".")[2]], content, name)
    return Artifact(name=name, content=content, engine=engine, summary=summarise(content, name))


def _require_int8(artifacts: list[Artifact], recipe: Recipe) -> None:
    for artifact in artifacts:
        if artifact.precision == INT8:
            faults = audit_int8(artifact.summary, recipe.allowed_float_operators)
            if faults:
                raise ModelError(f"{artifact.name} is not INT8: {'; '.join(faults)}")


def _compare(
    checkpoint: Checkpoint,
    artifacts: list[Artifact],
    calibration_images: np.ndarray,
    evaluation: tuple[Faces, np.ndarray] | None,
) -> dict[str, dict[str, Any]]:
    """Figures by artifact, on the evaluation faces or else on the calibration faces."""
    images_NHW = calibration_images if evaluation is None else evaluation[0].images_NHW
    expected_NK = torch_logits(checkpoint.network, images_NHW, checkpoint.preprocessing)
    figures = {}
    for artifact in artifacts:
        logits_NK = engine_logits(artifact.engine, images_NHW, checkpoint.preprocessing)
        same = int((logits_NK.argmax(1) == expected_NK.argmax(1)).sum())
        figures[artifact.name] = {
            "compared_on": "calibration faces" if evaluation is None else evaluation[0].source,
            "n": len(images_NHW),
            "label_agreement": same / len(images_NHW),
            "label_agreement_ci95": list(wilson_interval(same, len(images_NHW))),
            "max_probability_error": float(np.abs(softmax(logits_NK) - softmax(expected_NK)).max()),
        }
        if evaluation is not None:
            faces, leaked_N = evaluation
            figures[artifact.name] |= report(
                softmax(logits_NK), faces.labels_N, faces.label_names, leaked_N
            )
    return figures


def _row(artifact: Artifact, figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    own, floats = figures[artifact.name], figures[f"model.{FLOAT}.{artifact.format}"]
    accuracy = own.get("accuracy")
    lost = (
        floats["label_agreement"] - own["label_agreement"]
        if accuracy is None
        else floats["accuracy"] - accuracy
    )
    return {
        "file": artifact.name,
        "format": artifact.format,
        "precision": artifact.precision,
        "size_mb": len(artifact.content) / 1e6,
        "accuracy": accuracy,
        "accuracy_ci95": own.get("accuracy_ci95"),
        "accuracy_without_leaks": own.get("accuracy_without_leaks"),
        "drop_pt": 100 * lost,
        **{
            key: own[key]
            for key in (
                "compared_on",
                "n",
                "label_agreement",
                "label_agreement_ci95",
                "max_probability_error",
            )
        },
    }


def _manifest(
    request: Request,
    checkpoint: Checkpoint,
    artifacts: list[Artifact],
    figures: Mapping[str, Mapping[str, Any]],
    calibration_faces_n: int,
) -> Manifest:
    metadata = checkpoint.metadata
    complexity = describe(checkpoint.network, tuple(metadata["input_nchw"]))
    return Manifest(
        name=request.out.name,
        model=metadata["model"],
        labels=checkpoint.labels,
        preprocessing=checkpoint.preprocessing,
        params=complexity.params_total,
        params_trainable=complexity.params_trainable,
        macs=complexity.macs,
        files=tuple(_model_file(artifact, figures) for artifact in artifacts),
        calibration={
            "data": request.calibration.partition(":")[0],
            "images": calibration_faces_n,
            "seed": request.recipe.seed,
            "recipe": request.recipe.name,
        },
        provenance={
            "command": request.command,
            "checkpoint_sha256": hashlib.sha256(request.checkpoint.read_bytes()).hexdigest(),
            "training": {key: metadata[key] for key in ("data", "split", "metrics", "command")},
            "versions": metadata["versions"] | installed_versions(_PACKAGES),
        },
        licences={"weights": WEIGHTS_LICENCE, "data": TERMS.get(metadata["data"], "not stated")},
    )


def _model_file(artifact: Artifact, figures: Mapping[str, Mapping[str, Any]]) -> ModelFile:
    return ModelFile(
        file=artifact.name,
        format=artifact.format,
        precision=artifact.precision,
        size_mb=len(artifact.content) / 1e6,
        sha256=hashlib.sha256(artifact.content).hexdigest(),
        input=artifact.engine.input,
        output=artifact.engine.output,
        params=artifact.summary.params,
        macs=artifact.summary.macs,
        arena_mb=artifact.summary.arena_bytes / 1e6,
        accuracy=_stated_accuracy(artifact, figures),
    )


def _stated_accuracy(
    artifact: Artifact, figures: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any] | None:
    """A file's own figures and its float twin's, which an INT8-only bundle does not hold."""
    own, floats = figures[artifact.name], figures[f"model.{FLOAT}.{artifact.format}"]
    if "accuracy" not in own:
        return None
    twin = {f"float_{key}": floats[key] for key in ("accuracy", "accuracy_ci95")}
    return {**own, **twin}
