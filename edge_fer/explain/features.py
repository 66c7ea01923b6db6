"""Features before the last layer, their map on paper, and how well they separate the classes.

The map is t-SNE (MoEffNet, Fig. 5). Distances on it mean little, so two figures are taken in the
space of the features themselves.

Shape suffixes: N faces, F features.
"""

import csv
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_fer.errors import DataError
from edge_fer.explain.layers import find_classifier, parts_of

NEIGHBOURS = 10
PERPLEXITY = 30.0


@dataclass(frozen=True, kw_only=True)
class Separation:
    """How well features separate classes, in Euclidean distance.

    Attributes:
        knn_accuracy: Share of the faces whose class most of their nearest other faces have.
        silhouette: Mean silhouette, -1 .. 1: near 1 where classes are tight and far apart.
        neighbours: How many faces are asked.
    """

    knn_accuracy: float
    silhouette: float
    neighbours: int


def features_of(
    network: nn.Module,
    batches: Iterable[Tensor],
    input_nchw: tuple[int, ...],
    num_classes: int,
) -> np.ndarray:
    """Returns what the last classifying layer reads, averaged over height and width.

    Args:
        network: In evaluation mode.
        batches: Float32 images ``[N, C, H, W]``, some at a time.
        input_nchw: Shape of one image; N is 1.
        num_classes: Outputs of the network.

    Returns:
        Float32 ``[N, F]``; those of an ensemble's networks side by side.

    Raises:
        ModelError: It has no layer with an output per class.
    """
    parts = parts_of(network).values()
    classifiers = [find_classifier(part, input_nchw, num_classes) for part in parts]
    read: list[list[Tensor]] = [[] for _ in classifiers]
    with ExitStack() as hooks, torch.inference_mode():
        for classifier, batches_read in zip(classifiers, read, strict=True):
            hook = classifier.register_forward_pre_hook(partial(_keep, batches_read))
            hooks.callback(hook.remove)
        for x_NCHW in batches:
            network(x_NCHW)
    return np.asarray(torch.cat([torch.cat(of_part) for of_part in read], 1).numpy(), np.float32)


def _keep(batches: list[Tensor], _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    (read,) = inputs
    batches.append(read.mean((2, 3)) if read.ndim == 4 else read)


def separation(features_NF: np.ndarray, labels_N: np.ndarray) -> Separation:
    """Measures how well features separate classes: k-NN (leave one out) and silhouette.

    Raises:
        DataError: Fewer than three faces, or of one class, or each of its own.
    """
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import NearestNeighbors

    classes = len(np.unique(labels_N))
    if not 2 <= classes < len(labels_N):
        raise DataError(f"{len(labels_N)} faces of {classes} classes cannot be separated")
    k = min(NEIGHBOURS, len(labels_N) - 1)
    others_NK = NearestNeighbors(n_neighbors=k).fit(features_NF).kneighbors(return_distance=False)
    guesses_N = [np.bincount(labels_N[others_K]).argmax() for others_K in others_NK]
    return Separation(
        knn_accuracy=float(np.mean(guesses_N == labels_N)),
        silhouette=float(silhouette_score(features_NF, labels_N)),
        neighbours=k,
    )


def tsne(features_NF: np.ndarray, seed: int) -> np.ndarray:
    """Lays features out on a plane by t-SNE: float32 ``[N, 2]``, the same for the same seed."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(features_NF) - 1) / 3)
    layout = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return np.asarray(layout.fit_transform(features_NF), np.float32)


def write_csv(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Writes a table, not atomically."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)
