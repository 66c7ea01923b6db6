"""``edge-fer evaluate``: checkpoints and bundles on the same faces, each alone and compared.

Shape suffixes: N faces, K classes.
"""

from collections.abc import Callable, Sequence
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
from edge_fer.evaluate.fitting import FITS, Measured
from edge_fer.evaluate.labelled import Labelled, Selection, read_selection
from edge_fer.evaluate.metrics import reliability_bins, report, subset_report
from edge_fer.evaluate.predictions import FoldPredictions, databases_of
from edge_fer.evaluate.robustness import Predict, robustness
from edge_fer.evaluate.store import require_writable
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
        fits: Names in ``FITS`` of what is fitted to the faces and stored in the one model.
        disturbed: Also measure on disturbed faces.
        command: The command line, for the document.
    """

    models: tuple[Path, ...]
    selection: Selection
    fits: tuple[str, ...] = ()
    disturbed: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        for name in self.fits:
            self._check_fitting(f"--fit-{name}")

    def _check_fitting(self, option: str) -> None:
        if len(self.models) != 1:
            raise ModelError(f"{option} takes one model, not {len(self.models)}")
        if self.selection.is_test:
            raise DataError(
                f"{option} on {self.selection.part} would fit the test set; "
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


def evaluate(request: Request, announce: Callable[[str], None] = lambda _: None) -> Evaluation:
    """Evaluates checkpoints through torch, and bundles through every engine installed.

    Args:
        request: What to do.
        announce: Called with the name of each stage when it starts.

    Raises:
        EdgeFerError: A model or the data cannot be used, or they share fewer than two classes.
    """
    announce("read models and faces")
    test = read_selection(request.selection)
    measured, shared = _measure(request, test, announce)
    fitted: dict[str, Any] = {}
    for name in request.fits:
        part, measured = FITS[name](measured, request.models[0], request.selection)
        fitted[f"{name}_fit"] = part
    candidates = measured.candidates
    predictions = tuple(
        _predictions(logits_NK / candidate.temperature, test, measured.faces)
        for logits_NK, candidate in zip(measured.logits, candidates, strict=True)
    )
    curves = _curves(measured, shared, announce) if request.disturbed else [{}] * len(candidates)
    document = {
        **_head(request, test, shared, candidates),
        "results": [
            {
                **candidate.head,
                "temperature": candidate.temperature,
                **_figures(said, measured),
                **curve,
            }
            for candidate, said, curve in zip(candidates, predictions, curves, strict=True)
        ],
        "comparisons": _comparisons(candidates, predictions),
        **fitted,
    }
    return Evaluation(document=document, predictions=predictions)


def _measure(
    request: Request, test: Labelled, announce: Callable[[str], None]
) -> tuple[Measured, SharedClasses]:
    candidates = [candidate for model in request.models for candidate in candidates_of(model)]
    labels = [candidate.labels for candidate in candidates]
    shared = share_classes(labels, test.faces.label_names, test.faces.source)
    faces, kept_N = shared.faces(test.faces)
    logits = []
    for index, candidate in enumerate(candidates):
        announce(f"{candidate.model} {candidate.file} on {candidate.engine}")
        logits_NK = candidate.logits(faces.images_NHW)
        _check_outputs(candidate, logits_NK)
        logits.append(shared.logits(logits_NK, index))
    leaked_N = None if test.leaked_N is None else test.leaked_N[kept_N]
    return Measured(candidates=candidates, logits=logits, faces=faces, leaked_N=leaked_N), shared


def _curves(
    measured: Measured, shared: SharedClasses, announce: Callable[[str], None]
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


def _figures(predicted: FoldPredictions, measured: Measured) -> dict[str, Any]:
    inputs = probabilities_NK, labels_N = predicted.probabilities_NK, predicted.labels_N
    correct_N = probabilities_NK.argmax(1) == labels_N
    subsets = subset_report(correct_N, measured.faces.tags, measured.leaked_N)
    return {
        **report(*inputs, predicted.label_names, measured.leaked_N),
        "reliability": reliability_bins(*inputs),
        **({"subsets": subsets} if subsets else {}),
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
