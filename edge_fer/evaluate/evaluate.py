"""``edge-fer evaluate``: checkpoints and bundles on the same faces, each alone and compared.

Shape suffixes: N faces, K classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.data.spec import TERMS, spec_name
from edge_fer.errors import DataError, ModelError
from edge_fer.evaluate.candidates import Candidate, candidates_of
from edge_fer.evaluate.classes import SharedClasses, share_classes
from edge_fer.evaluate.compare import comparison
from edge_fer.evaluate.labelled import Labelled, Selection, read_selection
from edge_fer.evaluate.metrics import expected_calibration_error, reliability_bins, report
from edge_fer.evaluate.predictions import FoldPredictions, databases_of
from edge_fer.evaluate.robustness import Predict, robustness
from edge_fer.evaluate.store import require_writable, store_temperature
from edge_fer.evaluate.temperature import fit_temperature, negative_log_likelihood
from edge_fer.runtime.classifier import softmax
from edge_fer.telemetry import machine
from edge_fer.versions import installed_versions

SCHEMA = "edge-fer/evaluate/1"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to evaluate, and on what.

    Attributes:
        models: Checkpoints (``*.safetensors``) and bundles; each is compared with the first.
        selection: The faces.
        fit_temperature: Fit the one model's temperature on the faces, and store it in the model.
        disturbed: Also measure on disturbed faces.
        command: The command line, for the document.
    """

    models: tuple[Path, ...]
    selection: Selection
    fit_temperature: bool = False
    disturbed: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.fit_temperature:
            self._check_fitting()

    def _check_fitting(self) -> None:
        if len(self.models) != 1:
            raise ModelError(f"--fit-temperature takes one model, not {len(self.models)}")
        if self.selection.is_test:
            raise DataError(
                f"--fit-temperature on {self.selection.part} would fit the test set; "
                "fit on a validation split, e.g. --split PublicTest"
            )
        require_writable(self.models[0])


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The outcome.

    Attributes:
        document: Of schema ``edge-fer/evaluate/1``.
        predictions: For each of its ``results``, in order, what was said of every face.
    """

    document: dict[str, Any]
    predictions: tuple[FoldPredictions, ...]


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """Candidates and their logits in the shared classes, on the faces of those classes."""

    candidates: list[Candidate]
    logits: list[np.ndarray]
    faces: Faces
    leaked_N: np.ndarray | None


def evaluate(request: Request, announce: Callable[[str], None] = lambda _: None) -> Evaluation:
    """Evaluates checkpoints through torch, and bundles through every engine installed.

    Args:
        request: What to do.
        announce: Called with the name of each stage when it starts.

    Raises:
        EdgeFerError: A model or the data cannot be used, or they share fewer than two classes.
    """
    announce("read models and faces")
    candidates = [candidate for model in request.models for candidate in candidates_of(model)]
    test = read_selection(request.selection)
    labels = [candidate.labels for candidate in candidates]
    shared = share_classes(labels, test.faces.label_names, test.faces.source)
    measured = _measure(candidates, test, shared, announce)
    fit = _fit(request, measured) if request.fit_temperature else None
    temperatures = [fit["value"] if fit else candidate.temperature for candidate in candidates]
    predictions = tuple(
        _predictions(logits_NK / temperature, test, measured.faces)
        for logits_NK, temperature in zip(measured.logits, temperatures, strict=True)
    )
    curves = _curves(measured, shared, announce) if request.disturbed else [{}] * len(candidates)
    document = {
        **_head(request, test, shared, candidates),
        "results": [
            {
                **candidate.head,
                "temperature": temperature,
                **_figures(said, measured.leaked_N),
                **curve,
            }
            for candidate, temperature, said, curve in zip(
                candidates, temperatures, predictions, curves, strict=True
            )
        ],
        "comparisons": _comparisons(candidates, predictions),
        **({"temperature_fit": fit} if fit else {}),
    }
    return Evaluation(document=document, predictions=predictions)


def _measure(
    candidates: list[Candidate],
    test: Labelled,
    shared: SharedClasses,
    announce: Callable[[str], None],
) -> _Measured:
    faces, kept_N = shared.faces(test.faces)
    logits = []
    for index, candidate in enumerate(candidates):
        announce(f"{candidate.model} {candidate.file} on {candidate.engine}")
        logits_NK = candidate.logits(faces.images_NHW)
        _check_outputs(candidate, logits_NK)
        logits.append(shared.logits(logits_NK, index))
    leaked_N = None if test.leaked_N is None else test.leaked_N[kept_N]
    return _Measured(candidates=candidates, logits=logits, faces=faces, leaked_N=leaked_N)


def _curves(
    measured: _Measured, shared: SharedClasses, announce: Callable[[str], None]
) -> list[dict[str, Any]]:
    def predict(index: int, candidate: Candidate) -> Predict:
        return lambda images_NHW: shared.logits(candidate.logits(images_NHW), index)

    predicts = [predict(index, candidate) for index, candidate in enumerate(measured.candidates)]
    faces = measured.faces
    curves = robustness(predicts, faces.images_NHW, faces.labels_N, announce)
    return [{"robustness": curve} for curve in curves]


def _check_outputs(candidate: Candidate, logits_NK: np.ndarray) -> None:
    outputs, labels = logits_NK.shape[1], len(candidate.labels)
    if outputs != labels:
        raise ModelError(f"{candidate.model} {candidate.file}: {outputs} outputs, {labels} labels")


def _predictions(logits_NK: np.ndarray, test: Labelled, faces: Faces) -> FoldPredictions:
    names = faces.names or tuple(map(str, range(len(faces))))
    return FoldPredictions(
        fold=test.fold,
        names=names,
        labels_N=faces.labels_N,
        probabilities_NK=softmax(logits_NK),
        label_names=faces.label_names,
        databases=databases_of(faces.source.partition(":")[0], names),
    )


def _figures(predicted: FoldPredictions, leaked_N: np.ndarray | None) -> dict[str, Any]:
    inputs = predicted.probabilities_NK, predicted.labels_N
    unknown = {"accuracy_without_leaks": None, "n_without_leaks": None}
    return {
        **report(*inputs, predicted.label_names, leaked_N),
        **(unknown if leaked_N is None else {}),
        "reliability": reliability_bins(*inputs),
    }


def _comparisons(
    candidates: Sequence[Candidate], predictions: Sequence[FoldPredictions]
) -> list[dict[str, Any]]:
    first = predictions[0]
    return [
        {
            "first": candidates[0].head,
            "second": candidate.head,
            **comparison(first.probabilities_NK, second.probabilities_NK, first.labels_N),
        }
        for candidate, second in zip(candidates[1:], predictions[1:], strict=True)
    ]


def _head(
    request: Request, test: Labelled, shared: SharedClasses, candidates: Sequence[Candidate]
) -> dict[str, Any]:
    selection = request.selection
    name = spec_name(selection.data)
    protocol = selection.protocol and {"file": str(selection.protocol), "fold": test.fold}
    return {
        "schema": SCHEMA,
        "data": name,
        "split": selection.part,
        **({"protocol": protocol} if protocol else {}),
        "classes": {
            "evaluated": list(shared.label_names),
            "dropped_from_data": shared.dropped_faces(test.faces),
            "dropped_from_models": _dropped_outputs(shared, candidates),
        },
        "data_terms": TERMS.get(name),
        "command": request.command,
        "machine": _machine(),
    }


def _machine() -> dict[str, Any]:
    here = machine()
    return here | {"versions": here["versions"] | installed_versions(["torch"])}


def _dropped_outputs(
    shared: SharedClasses, candidates: Sequence[Candidate]
) -> dict[str, list[str]]:
    """Labels of each model that no face of the data has, by model."""
    dropped = {
        str(candidate.model): [
            label for index, label in enumerate(candidate.labels) if index not in places
        ]
        for candidate, places in zip(candidates, shared.of_models, strict=True)
    }
    return {model: labels for model, labels in dropped.items() if labels}


def _fit(request: Request, measured: _Measured) -> dict[str, Any]:
    """Fits one temperature to all files of the model, and stores it.

    Faces that also occur in Training are left out: on those a network is surer than on new ones.
    """
    fresh_N = _fresh(measured)
    labels_N = measured.faces.labels_N[fresh_N]
    logits = [logits_NK[fresh_N] for logits_NK in measured.logits]
    fitted = fit_temperature(np.concatenate(logits), np.tile(labels_N, len(logits)))
    how = {
        "data": spec_name(request.selection.data),
        "split": request.selection.part,
        "n": len(labels_N),
        "leaks_left_out": int((~fresh_N).sum()),
        "classes": list(measured.faces.label_names),
    }
    store_temperature(request.models[0], fitted.value, how)
    files = [
        {
            "file": candidate.file,
            "engine": candidate.engine,
            "before": _calibration(logits_NK, labels_N, candidate.temperature),
            "after": _calibration(logits_NK, labels_N, fitted.value),
        }
        for candidate, logits_NK in zip(measured.candidates, logits, strict=True)
    ]
    return {
        "value": fitted.value,
        "at_bound": fitted.at_bound,
        "previous": measured.candidates[0].temperature,
        "stored_in": str(request.models[0]),
        **how,
        "files": files,
    }


def _fresh(measured: _Measured) -> np.ndarray:
    n = len(measured.faces)
    fresh_N = np.ones(n, bool) if measured.leaked_N is None else ~measured.leaked_N
    if not fresh_N.any():
        raise DataError(
            f"{measured.faces.source}: all {n} faces also occur in Training; "
            "fit a temperature on faces that were not trained on"
        )
    return fresh_N


def _calibration(
    logits_NK: np.ndarray, labels_N: np.ndarray, temperature: float
) -> Mapping[str, float]:
    probabilities_NK = softmax(logits_NK / temperature)
    return {
        "ece": expected_calibration_error(probabilities_NK, labels_N),
        "nll": negative_log_likelihood(logits_NK, labels_N, temperature),
    }
