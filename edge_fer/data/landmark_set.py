"""The landmarks of a whole dataset: found, kept, summed up and drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.data.landmarks import DRAWN, find_landmarks, keep_landmarks, place_of_eyes
from edge_fer.data.spec import read_faces

SCHEMA = "edge-fer/data-landmarks/1"
SPLITS = ("Training", "PublicTest", "PrivateTest")
_COLUMNS, _ROWS = 8, 5
_TILE_PX = 160
_DOT_PX = 1
_COLOUR = (60, 220, 60)


@dataclass(frozen=True)
class LandmarkSet:
    """One split of a dataset with its landmarks.

    Attributes:
        faces: Of the split.
        landmarks_NP2: float32 ``[N, 68, 2]``, fractions of the crop.
    """

    faces: Faces
    landmarks_NP2: np.ndarray


def find_sets(
    spec: str,
    splits: Sequence[str],
    cache: Path,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[LandmarkSet]:
    """Finds the landmarks of every face of some splits, those of drawn faces where they are drawn.

    Args:
        spec: ``name:path`` of a dataset of images.
        splits: Names as ``read_faces`` takes them.
        cache: Read first, then extended; a run that was stopped goes on where it was.
        on_progress: Called with the number of faces of a split done, and of all of it.

    Raises:
        DataError: The dataset or the cache cannot be used.
        MissingExtraError: Dlib is needed and not installed.
        OutputError: The cache cannot be written.
    """
    parts = [read_faces(spec, split) for split in splits]
    name, _, path = spec.partition(":")
    if name == DRAWN:
        _keep_drawn(path, cache)
    return [
        LandmarkSet(faces, find_landmarks(faces.images_NHW, cache=cache, on_progress=on_progress))
        for faces in parts
    ]


def landmarks_document(sets: Sequence[LandmarkSet], cache: Path) -> dict[str, Any]:
    """Sums up: ``edge-fer/data-landmarks/1``."""
    landmarks_NP2 = np.concatenate([part.landmarks_NP2 for part in sets])
    height, inset = place_of_eyes(landmarks_NP2)
    inside_N = ((landmarks_NP2 >= 0) & (landmarks_NP2 <= 1)).all(axis=(1, 2))
    return {
        "schema": SCHEMA,
        "data": sets[0].faces.source.partition(":")[0],
        "file": str(cache),
        "n": len(landmarks_NP2),
        "splits": [
            {"name": part.faces.source.partition(":")[2], "n": len(part.faces)} for part in sets
        ],
        "reach_outside": int((~inside_N).sum()),
        "eyes": {"height": height, "inset": inset},
    }


def landmark_sheet(sets: Sequence[LandmarkSet], seed: int = 0) -> np.ndarray:
    """Draws the points on some faces, chosen by lot, at most 40.

    Returns:
        uint8 BGR ``[H, W, 3]``.
    """
    places = [(part, row) for part in sets for row in range(len(part.faces))]
    chosen = np.random.default_rng(seed).permutation(len(places))[: _COLUMNS * _ROWS]
    tiles = [
        _tile(part.faces.images_NHW[row], part.landmarks_NP2[row])
        for part, row in (places[index] for index in chosen)
    ]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[at : at + _COLUMNS]) for at in range(0, len(tiles), _COLUMNS)]
    return np.vstack(rows)


def _keep_drawn(path: str, cache: Path) -> None:
    from edge_fer.data.synthetic import parse_count, synthetic_faces

    count, seed = parse_count(path)
    images_NHW, _, landmarks_NP2 = synthetic_faces(count, seed=seed)
    keep_landmarks(images_NHW, landmarks_NP2, cache)


def _tile(image: np.ndarray, points_P2: np.ndarray) -> np.ndarray:
    picture = cv2.resize(image, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_LINEAR)
    tile = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    for x, y in np.rint(points_P2 * _TILE_PX - 0.5).astype(int).tolist():
        cv2.circle(tile, (x, y), _DOT_PX, _COLOUR, cv2.FILLED)
    return tile
