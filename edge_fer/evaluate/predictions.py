"""What a model said of every face: written as CSV, and pooled over the folds of a protocol."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.errors import DataError
from edge_fer.evaluate.metrics import report
from edge_fer.evaluate.micro import composite_report
from edge_fer.files import write_atomic

POOLED_SCHEMA = "edge-fer/pooled/1"
_COMPOSITES = {"megc2019"}


@dataclass(frozen=True, kw_only=True)
class FoldPredictions:
    """What one model said of the test faces of one fold.

    Attributes:
        fold: Name of the fold, empty without a protocol.
        names: Of the N faces or clips, as in the protocol.
        labels_N: int ``[N]``, indices into ``label_names``.
        probabilities_NK: float ``[N, K]``.
        label_names: The K classes.
        databases: The database that each face is from; all of one if empty.
    """

    fold: str
    names: tuple[str, ...]
    labels_N: np.ndarray
    probabilities_NK: np.ndarray
    label_names: tuple[str, ...]
    databases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, k = len(self.names), len(self.label_names)
        assert self.labels_N.shape == (n,)
        assert self.probabilities_NK.shape == (n, k)
        assert not self.databases or len(self.databases) == n

    @property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each face, int ``[N]``."""
        return np.asarray(self.probabilities_NK.argmax(1))


def databases_of(data: str, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the database that each item of a dataset is from.

    Args:
        data: Name of the dataset; items of a composite are named ``database/...``.
        names: Of the items.
    """
    return tuple(name.partition("/")[0] if data in _COMPOSITES else data for name in names)


def pooled_report(predictions: Sequence[FoldPredictions]) -> dict[str, Any]:
    """Scores the folds of a protocol together, as if their test faces were one test set.

    Args:
        predictions: Of every fold, in any order; all over the same classes.

    Returns:
        ``edge-fer/pooled/1``: ``folds`` (name, n, accuracy), what ``metrics.report`` says of all
        faces, and ``composite``: UF1 and UAR by the rules of MEGC2019, overall and by database.

    Raises:
        DataError: There is no fold, classes differ, or an item is tested in two folds.
    """
    _check(predictions)
    label_names = predictions[0].label_names
    labels_N = np.concatenate([fold.labels_N for fold in predictions])
    probabilities_NK = np.concatenate([fold.probabilities_NK for fold in predictions])
    databases = [name for fold in predictions for name in _databases(fold)]
    return {
        "schema": POOLED_SCHEMA,
        "folds": [_fold_figures(fold) for fold in predictions],
        **report(probabilities_NK, labels_N, label_names),
        "composite": composite_report(labels_N, probabilities_NK.argmax(1), databases, label_names),
    }


def _check(predictions: Sequence[FoldPredictions]) -> None:
    if not any(len(fold.names) for fold in predictions):
        raise DataError("no predictions to pool")
    first = predictions[0]
    for fold in predictions[1:]:
        if fold.label_names != first.label_names:
            raise DataError(
                f"fold {fold.fold} has the classes {', '.join(fold.label_names)}, "
                f"fold {first.fold} has {', '.join(first.label_names)}"
            )
    counts = Counter(name for fold in predictions for name in set(fold.names))
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{twice} is tested in {counts[twice]} folds; pooled, each counts once")


def _databases(fold: FoldPredictions) -> Sequence[str]:
    return fold.databases or ["all"] * len(fold.names)


def _fold_figures(fold: FoldPredictions) -> dict[str, Any]:
    n = len(fold.names)
    accuracy = float((fold.predicted == fold.labels_N).mean()) if n else None
    return {"name": fold.fold, "n": n, "accuracy": accuracy}


def write_predictions(
    path: Path, results: Sequence[Mapping[str, Any]], predictions: Sequence[FoldPredictions]
) -> None:
    """Writes one line per model and face, whole or not at all.

    Columns: ``model``, ``file``, ``engine``, ``fold``, ``name``, ``label``, ``predicted``, and
    ``p:CLASS`` for the probability of each class.

    Args:
        path: The CSV file.
        results: Of a document ``edge-fer/evaluate/1``; they say which model it was.
        predictions: For each result; all over the same classes.

    Raises:
        OutputError: The file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"p:{name}" for name in predictions[0].label_names]
    writer.writerow(["model", "file", "engine", "fold", "name", "label", "predicted", *columns])
    for result, fold in zip(results, predictions, strict=True):
        head = [result["model"], result["file"], result["engine"], fold.fold]
        writer.writerows(_lines(head, fold))
    content = text.getvalue().encode("utf-8", "surrogateescape")
    write_atomic(path, lambda file: file.write_bytes(content))


def _lines(start: list[str], fold: FoldPredictions) -> list[list[str]]:
    columns = zip(fold.names, fold.labels_N, fold.predicted, fold.probabilities_NK, strict=True)
    return [
        [
            *start,
            name,
            fold.label_names[label],
            fold.label_names[predicted],
            *(f"{p:.6g}" for p in probabilities_K),
        ]
        for name, label, predicted, probabilities_K in columns
    ]
