"""What is fitted to validation faces so that confidence means accuracy, and stored in the model.

Shape suffixes: N faces, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.data.spec import spec_name
from edge_fer.errors import DataError, ModelError
from edge_fer.evaluate.candidates import Candidate, candidates_of
from edge_fer.evaluate.class_scaling import fit_class_scaling
from edge_fer.evaluate.labelled import Selection
from edge_fer.evaluate.metrics import expected_calibration_error
from edge_fer.evaluate.store import store_class_scaling, store_temperature
from edge_fer.evaluate.temperature import fit_temperature, negative_log_likelihood
from edge_fer.runtime.classifier import softmax


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Candidates and their logits in the shared classes, on the faces of those classes.

    Attributes:
        candidates: What was measured.
        logits: float32 ``[N, K]`` of each.
        faces: The N faces.
        leaked_N: bool, True where a face also occurs in Training; None if that is not known.
    """

    candidates: list[Candidate]
    logits: list[np.ndarray]
    faces: Faces
    leaked_N: np.ndarray | None


def _fit_temperature(
    measured: Measured, model: Path, selection: Selection
) -> tuple[dict[str, Any], Measured]:
    fresh_N, how = _fresh(measured, selection)
    labels_N = measured.faces.labels_N[fresh_N]
    logits = [logits_NK[fresh_N] for logits_NK in measured.logits]
    fitted = fit_temperature(np.concatenate(logits), np.tile(labels_N, len(logits)))
    store_temperature(model, fitted.value, how)
    files = [
        {
            "file": candidate.file,
            "engine": candidate.engine,
            "before": _calibration(logits_NK / candidate.temperature, labels_N),
            "after": _calibration(logits_NK / fitted.value, labels_N),
        }
        for candidate, logits_NK in zip(measured.candidates, logits, strict=True)
    ]
    document = {
        "value": fitted.value,
        "at_bound": fitted.at_bound,
        "previous": measured.candidates[0].temperature,
        "stored_in": str(model),
        **how,
        "files": files,
    }
    renewed = [replace(one, temperature=fitted.value) for one in measured.candidates]
    return document, replace(measured, candidates=renewed)


def _fit_classes(
    measured: Measured, model: Path, selection: Selection
) -> tuple[dict[str, Any], Measured]:
    if model.suffix != ".safetensors":
        raise ModelError(f"{model}: classes are fitted to a checkpoint; quantize it afterwards")
    fresh_N, how = _fresh(measured, selection)
    labels_N, logits_NK = measured.faces.labels_N[fresh_N], measured.logits[0][fresh_N]
    candidate, names = measured.candidates[0], measured.faces.label_names
    unseen = set(candidate.labels) - {names[label] for label in np.unique(labels_N)}
    if unseen:
        raise DataError(
            f"{measured.faces.source}: no face of {', '.join(sorted(unseen))} to fit its logit to"
        )
    scales_K, offsets_K = fit_class_scaling(logits_NK, labels_N)
    order = [names.index(label) for label in candidate.labels]
    store_class_scaling(model, scales_K[order], offsets_K[order], how)
    scaled_NK = (measured.logits[0] * scales_K + offsets_K).astype(np.float32)
    document = {
        "scales": dict(zip(names, scales_K.tolist(), strict=True)),
        "offsets": dict(zip(names, offsets_K.tolist(), strict=True)),
        "stored_in": str(model),
        **how,
        "before": _calibration(logits_NK / candidate.temperature, labels_N),
        "after": _calibration(scaled_NK[fresh_N], labels_N),
    }
    return document, replace(measured, candidates=candidates_of(model), logits=[scaled_NK])


#: ``--fit-NAME``: from what was measured, the model and the faces to a part of the document, and to
#: what would be measured now.
FITS: dict[str, Callable[[Measured, Path, Selection], tuple[dict[str, Any], Measured]]] = {
    "classes": _fit_classes,
    "temperature": _fit_temperature,
}


def _fresh(measured: Measured, selection: Selection) -> tuple[np.ndarray, dict[str, Any]]:
    """Which faces to fit to, and how to describe them.

    Faces that also occur in Training are left out: on those a network is surer than on new ones.
    """
    n = len(measured.faces)
    fresh_N = np.ones(n, bool) if measured.leaked_N is None else ~measured.leaked_N
    if not fresh_N.any():
        raise DataError(
            f"{measured.faces.source}: all {n} faces also occur in Training; "
            "fit on faces that were not trained on"
        )
    how = {
        "data": spec_name(selection.data),
        "split": selection.part,
        "n": int(fresh_N.sum()),
        "leaks_left_out": int((~fresh_N).sum()),
        "classes": list(measured.faces.label_names),
    }
    return fresh_N, how


def _calibration(logits_NK: np.ndarray, labels_N: np.ndarray) -> dict[str, float]:
    return {
        "accuracy": float((logits_NK.argmax(1) == labels_N).mean()),
        "ece": expected_calibration_error(softmax(logits_NK), labels_N),
        "nll": negative_log_likelihood(logits_NK, labels_N, 1.0),
    }
