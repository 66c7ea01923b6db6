"""Annotators' votes for the faces of a split, in the classes of its vocabulary."""

from pathlib import Path

import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.data.ferplus import has_votes, read_votes
from edge_fer.data.spec import parse_spec, read_dataset
from edge_fer.errors import DataError
from edge_fer.labels import EXPRESSIONS


def votes_for(spec: str, faces: Faces) -> np.ndarray | None:
    """Finds the votes on each face.

    FER2013's faces have FERPlus's votes, from its npz or from ``fer2013new.csv`` beside it; other
    datasets have their own.

    Args:
        spec: ``name:path`` that the faces were read from.
        faces: Of one split, with names.

    Returns:
        float32 ``[N, K]`` counts, a row of zeros where nobody voted for any of the K classes; None
        if the dataset has no votes.

    Raises:
        DataError: There are votes, but they are damaged or cannot be laid beside the faces.
    """
    name, path = parse_spec(spec)
    if name == "fer2013":
        return _of_fer2013(path, faces)
    votes = {item.name: item.votes for item in read_dataset(spec).items}
    if not faces.names or not any(votes.values()):
        return None
    empty = (0.0,) * len(faces.label_names)
    return np.array([votes.get(name) or empty for name in faces.names], np.float32)


def _of_fer2013(path: Path, faces: Faces) -> np.ndarray | None:
    if not has_votes(path) or not all(name.isdecimal() for name in faces.names):
        return None
    votes_RK = read_votes(path)
    columns = [EXPRESSIONS.index(label) for label in faces.label_names]
    rows = [int(name) for name in faces.names]
    if max(rows, default=0) >= len(votes_RK):
        raise DataError(f"{path}: votes for {len(votes_RK)} rows only")
    return votes_RK[rows][:, columns].clip(min=0).astype(np.float32)
