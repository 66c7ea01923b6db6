"""Annotators' votes for the faces of a split, in the classes of its vocabulary."""

from pathlib import Path

import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.data.ferplus import read_votes
from edge_fer.data.spec import parse_spec, read_dataset
from edge_fer.errors import DataError
from edge_fer.labels import EXPRESSIONS


def votes_for(spec: str, faces: Faces) -> np.ndarray:
    """Finds the votes on each face.

    FER2013's faces have FERPlus's votes, from its npz or from ``fer2013new.csv`` beside it; other
    datasets have their own.

    Args:
        spec: ``name:path`` that the faces were read from.
        faces: Of one split, with names.

    Returns:
        float32 ``[N, K]`` counts; a row of zeros where nobody voted for any of the K classes.

    Raises:
        DataError: The dataset has no votes.
    """
    name, path = parse_spec(spec)
    if name == "fer2013":
        return _of_fer2013(path, faces)
    votes = {item.name: item.votes for item in read_dataset(spec).items}
    if not faces.names or not any(votes.values()):
        raise DataError(f"{spec}: no annotators' votes in it; give --set votes=0")
    empty = (0.0,) * len(faces.label_names)
    return np.array([votes.get(name) or empty for name in faces.names], np.float32)


def _of_fer2013(path: Path, faces: Faces) -> np.ndarray:
    votes_RK = read_votes(path)
    columns = [EXPRESSIONS.index(label) for label in faces.label_names]
    try:
        rows = [int(name) for name in faces.names]
    except ValueError as error:
        raise DataError(f"{path}: class folders do not say which face is which row") from error
    if max(rows, default=0) >= len(votes_RK):
        raise DataError(f"{path}: votes for {len(votes_RK)} rows only")
    return votes_RK[rows][:, columns].clip(min=0).astype(np.float32)
