"""From a checkpoint to a bundle: float and quantized, TFLite and ONNX, on the same faces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bundle import Bundle, save_bundle
from edge_fer.compress.artifacts import FLOAT, Artifact, make_artifacts, require_audited
from edge_fer.compress.calibrate import Calibration, calibrate
from edge_fer.compress.detector import quantize_detector
from edge_fer.compress.document import quantization_document
from edge_fer.compress.gates import Limits
from edge_fer.compress.manifest import manifest_of
from edge_fer.compress.recipe import Recipe
from edge_fer.compress.stages import Stages
from edge_fer.compress.yardstick import Yardstick, faces_to_measure_on
from edge_fer.errors import EdgeFerError
from edge_fer.train.checkpoint import Checkpoint, load_checkpoint

_STEPS_PER_LINE = 20


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to quantize and how to judge it.

    Attributes:
        checkpoint: ``*.safetensors``.
        recipe: How.
        calibration: Specification of the calibration faces; may be ``None`` where the recipe needs
            none and there is an ``evaluation``.
        out: Bundle folder to write.
        evaluation: Specification of labelled faces; without it labels are compared with torch's
            on the calibration faces.
        split: Split of ``evaluation``.
        limits: The most that a quantized file may lose.
        int8_only: Leave the float files out of the bundle.
        command: The command line, for the manifest.
    """

    checkpoint: Path
    recipe: Recipe
    out: Path
    calibration: str | None = None
    evaluation: str | None = None
    split: str = "PrivateTest"
    limits: Limits = field(default_factory=Limits)
    int8_only: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.calibration is None and self.recipe.is_calibrated:
            raise EdgeFerError(
                f"the recipe {self.recipe.name} needs --calibration: NAME:PATH, photos:PATH or "
                "distilled"
            )
        if self.calibration is None and self.evaluation is None:
            raise EdgeFerError("give --evaluate or --calibration: faces to compare the files on")
        if self.recipe.mode == "mixed" and self.limits.drop_pt is None:
            raise EdgeFerError(
                f"the recipe {self.recipe.name} needs --max-drop: what the quantized layers may "
                "cost, in points"
            )


def quantize(request: Request, announce: Callable[[str], None]) -> dict[str, Any]:
    """Exports, quantizes, audits, compares and writes the bundle.

    Args:
        request: What to do.
        announce: Called with the name of each stage when it starts.

    Returns:
        A document of schema ``edge-fer/quantize/1``; see ``quantization_document``. A gate that
        fails is in it; the bundle is written all the same. Of a face detector, what
        ``quantize_detector`` gives.

    Raises:
        EdgeFerError: Checkpoint, data or output cannot be used, or a quantized file is not
            all-integer where it must be.
    """
    stages = Stages(announce)
    checkpoint = load_checkpoint(request.checkpoint)
    if checkpoint.metadata.get("task") == "detect":
        return quantize_detector(request, checkpoint, stages)
    with stages.stage("read faces"):
        calibration = _calibration(request, checkpoint, stages)
        faces_NHW = None if calibration is None else calibration.images
        yardstick = faces_to_measure_on(checkpoint, request.evaluation, request.split, faces_NHW)
    artifacts = make_artifacts(
        checkpoint, request.recipe, faces_NHW, yardstick, request.limits.drop_pt, stages
    )
    with stages.stage("audit"):
        require_audited(artifacts, request.recipe)
    with stages.stage("compare"):
        logits = {artifact.name: yardstick.logits(artifact.engine) for artifact in artifacts}
        figures = {name: yardstick.figures(logits_NK) for name, logits_NK in logits.items()}
        costs = _costs(artifacts, logits, yardstick)
    with stages.stage("write the bundle"):
        kept = [a for a in artifacts if not (request.int8_only and a.precision == FLOAT)]
        manifest = manifest_of(
            request.out.name,
            checkpoint,
            request.checkpoint,
            kept,
            figures,
            calibration=_provenance(request.recipe, calibration),
            command=request.command,
        )
        save_bundle(request.out, manifest, {a.name: a.content for a in kept})
        Bundle.load(request.out)
    return quantization_document(
        request, artifacts, figures, costs, dict(manifest.calibration), stages.seconds
    )


def _calibration(request: Request, checkpoint: Checkpoint, stages: Stages) -> Calibration | None:
    if request.calibration is None:
        return None
    return calibrate(
        request.calibration,
        checkpoint.preprocessing,
        images=request.recipe.images,
        seed=request.recipe.seed,
        network=checkpoint.network,
        on_step=lambda done, total: stages.progress(
            "distil calibration images, step", done, total, _STEPS_PER_LINE
        ),
    )


def _costs(
    artifacts: list[Artifact], logits: Mapping[str, np.ndarray], yardstick: Yardstick
) -> dict[str, dict[str, Any]]:
    """What each quantized file loses against its float twin, by file name."""
    return {
        a.name: yardstick.against(logits[f"model.{FLOAT}.{a.format}"], logits[a.name])
        for a in artifacts
        if a.precision != FLOAT
    }


def _provenance(recipe: Recipe, calibration: Calibration | None) -> dict[str, Any]:
    """What the manifest says of the calibration."""
    if calibration is None or not recipe.is_calibrated:
        return {"recipe": recipe.name}
    return {
        **calibration.source,
        "images": len(calibration.images),
        "seed": recipe.seed,
        "recipe": recipe.name,
        "method": recipe.method.name,
        "percentile": recipe.method.percentile,
        "bias_correction": recipe.bias_correction,
    }
