"""The FER2013 faces that everybody calibrates on: a committed list of rows.

``python -m edge_fer.compress.calibration_list fer2013:fer2013.csv`` writes the list again.
"""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.data.spec import read_faces
from edge_fer.errors import DataError

COUNT = 500
SEED = 0
_DIGEST = "# images_sha256: "


def draw_rows(labels_N: np.ndarray, count: int, seed: int) -> list[int]:
    """Draws faces by lot, of every class its share.

    Args:
        labels_N: int ``[N]``, N at least ``count``.
        count: How many.
        seed: Of the lot.

    Returns:
        ``count`` different rows, ordered so that any beginning has nearly the same shares too.
    """
    order_N = np.random.default_rng(seed).permutation(len(labels_N))
    placed = []
    for label, quota in _quotas(labels_N, count).items():
        rows = order_N[labels_N[order_N] == label][:quota]
        placed += [((index + 0.5) / quota, label, int(row)) for index, row in enumerate(rows)]
    return [row for _, _, row in sorted(placed)]


def _quotas(labels_N: np.ndarray, count: int) -> dict[int, int]:
    """Faces of each class: its share, rounded so that the sum is ``count`` (largest remainder)."""
    labels, sizes = np.unique(labels_N, return_counts=True)
    shares = sizes * count / sizes.sum()
    quotas = np.floor(shares).astype(int)
    most = np.argsort(quotas - shares, kind="stable")[: count - quotas.sum()]
    quotas[most] += 1
    return {int(label): int(n) for label, n in zip(labels, quotas, strict=True) if n}


def render_list(faces: Faces, rows: Sequence[int]) -> str:
    """Returns the text of a list file."""
    head = (
        f"# {len(rows)} rows of FER2013's Training split, counted from 0; every class has its\n"
        "# share, in any beginning of the list too. For edge-fer quantize --calibration.\n"
        f"# Made by: python -m edge_fer.compress.calibration_list fer2013:PATH (seed {SEED})\n"
        f"{_DIGEST}{_digest(faces, rows)}\n"
    )
    return head + "".join(f"{row}\n" for row in rows)


def read_list(path: Path, faces: Faces) -> list[int] | None:
    """Reads a list file.

    Args:
        path: The file.
        faces: The split that the rows are of.

    Returns:
        The rows; ``None`` if those of ``faces`` are not the images that the list was made of.

    Raises:
        DataError: The file is not such a list.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    digests = [line.removeprefix(_DIGEST) for line in lines if line.startswith(_DIGEST)]
    try:
        rows = [int(line) for line in lines if line and not line.startswith("#")]
    except ValueError as error:
        raise DataError(f"{path}: not a list of rows ({error})") from error
    if len(digests) != 1 or not rows:
        raise DataError(f"{path}: not a list of rows with images_sha256")
    same = max(rows) < len(faces) and min(rows) >= 0 and _digest(faces, rows) == digests[0]
    return rows if same else None


def _digest(faces: Faces, rows: Sequence[int]) -> str:
    return hashlib.sha256(faces.images_NHW[list(rows)].tobytes()).hexdigest()


if __name__ == "__main__":
    training = read_faces(sys.argv[1], "Training")
    sys.stdout.write(render_list(training, draw_rows(training.labels_N, COUNT, SEED)))
