"""What ``edge-fer quantize --json`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_fer.compress.artifacts import FLOAT, Artifact
from edge_fer.compress.gates import gates_of
from edge_fer.compress.manifest import kept_layers
from edge_fer.compress.mixed import Mixed

if TYPE_CHECKING:
    from edge_fer.compress.quantize import Request

SCHEMA = "edge-fer/quantize/1"
DETECTOR_SCHEMA = "edge-fer/quantize-detector/1"
_OF_FIGURES = (
    "compared_on", "n", "label_agreement", "label_agreement_ci95", "max_probability_error",
)  # fmt: skip
_OF_ACCURACY = ("accuracy", "accuracy_ci95", "accuracy_without_leaks")
_OF_LABELS = ("ece", "uar", "per_class", "confusion")
Figures = Mapping[str, Mapping[str, Any]]


def quantization_document(
    request: Request,
    artifacts: Sequence[Artifact],
    figures: Figures,
    costs: Figures,
    calibration: Mapping[str, Any],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """Returns a document of schema ``edge-fer/quantize/1``.

    Args:
        request: What was asked for.
        artifacts: The files.
        figures: Of each file, by name.
        costs: Of each quantized file against its float twin, by name.
        calibration: As the manifest says it.
        seconds: Of each stage.

    Returns:
        ``bundle``, ``recipe``, ``calibration``, ``rows`` (one per file, in percentage points where
        a key ends in ``_pt``), ``gates`` and ``stages_s``.
    """
    return {
        "schema": SCHEMA,
        "bundle": str(request.out),
        "recipe": {
            "name": request.recipe.name,
            "devices": request.recipe.devices,
            "choose_when": request.recipe.choose_when,
        },
        "calibration": dict(calibration),
        "command": request.command,
        "rows": [_row(artifact, figures, costs) for artifact in artifacts],
        "gates": [
            gate for name, cost in costs.items() for gate in gates_of(name, cost, request.limits)
        ],
        "stages_s": dict(seconds),
    }


def _row(artifact: Artifact, figures: Figures, costs: Figures) -> dict[str, Any]:
    own, cost = figures[artifact.name], costs.get(artifact.name)
    row = {
        "file": artifact.name,
        "format": artifact.format,
        "precision": artifact.precision,
        "size_mb": len(artifact.content) / 1e6,
        **{key: own.get(key) for key in _OF_ACCURACY},
        "drop_pt": 0.0 if cost is None else cost["drop_pt"],
        **{key: own[key] for key in _OF_FIGURES},
        **{key: own[key] for key in _OF_LABELS if key in own},
        "audit": _audit(artifact),
    }
    if cost is not None:
        row["against_float"] = dict(cost)
    if artifact.mixed is not None:
        row["mixed"] = _mixed(artifact.mixed)
    return row


def _audit(artifact: Artifact) -> dict[str, Any]:
    operators = artifact.summary.operators
    floats = [o for o in operators if any("FLOAT" in t for t in (*o.input_types, *o.output_types))]
    return {
        "operators": len(operators),
        "float_operators": [] if artifact.precision == FLOAT else [_named(o) for o in floats],
        "kept_in_float": kept_layers(artifact),
    }


def _named(operator: Any) -> str:
    return f"{operator.kind} {operator.name.rpartition('/')[2]}".strip()


def _mixed(mixed: Mixed) -> dict[str, Any]:
    kept = {damage.layer.name for damage in mixed.kept}
    return {
        "tries": mixed.tries,
        "drop_all_quantized_pt": mixed.drop_all_pt,
        "drop_pt": mixed.drop_pt,
        "layers": [
            {
                "layer": damage.layer.name,
                "logit_error": damage.logit_error,
                "stays_in_float": damage.layer.name in kept,
            }
            for damage in mixed.damages
        ],
    }
