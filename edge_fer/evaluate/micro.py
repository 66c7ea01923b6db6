"""The rules of the MEGC 2019 composite: unweighted F1 (UF1) and recall (UAR).

Hits and misses of every class are added up over all folds of leave-one-subject-out, and only then
become rates; the rates are averaged over the classes with equal weight. That is not the mean of
the folds' own rates. Adding up over folds is pooling their predictions, so the functions take the
predictions of all folds in one array, in any order.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_fer.errors import DataError
from edge_fer.evaluate.metrics import confusion_matrix


def composite_report(
    labels_N: np.ndarray,
    predicted_N: np.ndarray,
    databases_N: Sequence[str],
    label_names: Sequence[str],
) -> dict[str, Any]:
    """Scores the pooled predictions of all folds, on the composite and on each database in it.

    Args:
        labels_N: int ``[N]``, indices into ``label_names``.
        predicted_N: int ``[N]``, the same.
        databases_N: The database that each clip is from.
        label_names: The composite's classes.

    Returns:
        ``n``, ``uf1``, ``uar``, ``accuracy``, ``per_class``, and in ``databases`` the same of each
        database. A class without a clip has no rate and is left out of the means.

    Raises:
        DataError: There are no clips, lengths differ, or a label is outside the vocabulary.
    """
    _check(labels_N, predicted_N, databases_N, len(label_names))
    database_N = np.array(databases_N)
    parts = {
        name: _scores(labels_N[database_N == name], predicted_N[database_N == name], label_names)
        for name in dict.fromkeys(databases_N)
    }
    return {**_scores(labels_N, predicted_N, label_names), "databases": parts}


def _check(
    labels_N: np.ndarray, predicted_N: np.ndarray, databases_N: Sequence[str], classes: int
) -> None:
    lengths = len(labels_N), len(predicted_N), len(databases_N)
    if len(set(lengths)) > 1 or not lengths[0]:
        raise DataError(
            f"{lengths[0]} labels, {lengths[1]} predictions and {lengths[2]} databases: "
            "one of each per clip is needed"
        )
    values = np.concatenate([labels_N, predicted_N])
    if values.min() < 0 or values.max() >= classes:
        raise DataError(f"labels {values.min()} .. {values.max()} are not in 0 .. {classes - 1}")


def _scores(
    labels_N: np.ndarray, predicted_N: np.ndarray, label_names: Sequence[str]
) -> dict[str, Any]:
    matrix = confusion_matrix(labels_N, predicted_N, len(label_names))
    hits_K, labelled_K, predicted_K = matrix.diagonal(), matrix.sum(1), matrix.sum(0)
    per_class = {
        name: {
            "n": int(n),
            "tp": int(tp),
            "fp": int(called - tp),
            "fn": int(n - tp),
            "f1": float(2 * tp / (n + called)) if n else None,
            "recall": float(tp / n) if n else None,
        }
        for name, tp, n, called in zip(label_names, hits_K, labelled_K, predicted_K, strict=True)
    }
    present = [figures for figures in per_class.values() if figures["n"]]
    return {
        "n": len(labels_N),
        "uf1": float(np.mean([figures["f1"] for figures in present])),
        "uar": float(np.mean([figures["recall"] for figures in present])),
        "accuracy": float(hits_K.sum() / len(labels_N)),
        "per_class": per_class,
    }
