"""What everyone says of the same faces. It does not depend on how busy the machine is."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from catalogue import CLASSIFIER
from client import Client
from environments import PeerError
from pictures import Pictures

from edge_fer.evaluate.labelled import Labelled
from edge_fer.evaluate.metrics import confusion_matrix, wilson_interval
from edge_fer.labels import canonical_label

CHUNK = 200


def measure_accuracy(
    clients: Mapping[str, Client],
    faces: Pictures,
    labelled: Labelled,
    skipped: list[str],
    announce: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Classifies every face once per contender.

    Args:
        clients: Workers by the name of their contender.
        faces: The first faces of ``labelled``, as a file.
        labelled: Their labels, and which of them also occur in Training.
        skipped: Gets a line for each contender that fails.
        announce: Called with the name of each.
    """
    rows = []
    for name, client in clients.items():
        announce(f"accuracy of {name}")
        try:
            said = classify_all(client, faces)
        except PeerError as error:
            skipped.append(f"accuracy: {error}")
            continue
        rows.append({"name": name, **figures(said, labelled)})
    return {
        "data": labelled.faces.source,
        "n": faces.count,
        "rows": sorted(rows, key=lambda row: -row["accuracy"]),
    }


def classify_all(client: Client, faces: Pictures) -> list[str]:
    """Returns a contender's label of every face, in its own words."""
    said: list[str] = []
    for first in range(0, faces.count, CHUNK):
        indices = list(range(first, min(first + CHUNK, faces.count)))
        said += client.ask(CLASSIFIER, file=str(faces.file), indices=indices)["labels"]
    return said


def figures(said: list[str], labelled: Labelled) -> dict[str, Any]:
    """Compares labels in a peer's words with the truth; a word of no class counts as wrong."""
    names, n = labelled.faces.label_names, len(said)
    truth_N = labelled.faces.labels_N[:n]
    places = {label: i for i, label in enumerate(names)}
    said_N = np.array([places.get(canonical_label(word) or "", len(names)) for word in said])
    right_N = said_N == truth_N
    fresh_N = np.ones(n, bool) if labelled.leaked_N is None else ~labelled.leaked_N[:n]
    matrix = confusion_matrix(truth_N, said_N, len(names) + 1)
    recalls = {name: _share(matrix[i, i], matrix[i].sum()) for i, name in enumerate(names)}
    return {
        "n": n,
        "accuracy": float(right_N.mean()),
        "accuracy_ci95": list(wilson_interval(int(right_N.sum()), n)),
        "n_without_leaks": int(fresh_N.sum()),
        "accuracy_without_leaks": _share(right_N[fresh_N].sum(), fresh_N.sum()),
        "uar": float(np.mean([recall for recall in recalls.values() if recall is not None])),
        "recall": recalls,
        "of_no_class": int((said_N == len(names)).sum()),
        "said": {name: int((said_N == i).sum()) for i, name in enumerate(names)},
    }


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None
