"""From a configuration to a run that is ready to start: its faces, votes and landmarks."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.data.spec import read_faces, read_fold
from edge_fer.data.votes import votes_for
from edge_fer.errors import EdgeFerError
from edge_fer.train.config import TrainConfig
from edge_fer.train.loop import Run


def open_run(config: TrainConfig, folder: Path, command: str) -> Run:
    """Reads the data that a configuration names and builds its run.

    Raises:
        EdgeFerError: Data or model cannot be used.
    """
    train, validation = read_sides(config)
    votes_NK = None
    if any(stage.votes for stage in config.stages):
        votes_NK = votes_for(config.data, train)
    points_NP2 = None
    if any(stage.target == "landmarks" for stage in config.stages):
        from edge_fer.data.landmarks import landmarks_for  # draws in OpenCV

        if not config.landmarks:
            raise EdgeFerError(
                f"{config.model} learns landmarks first: make them with edge-fer data landmarks "
                f"{config.data} --out landmarks.npz, then give --landmarks landmarks.npz"
            )
        cache = Path(config.landmarks).expanduser()
        points_NP2 = (landmarks_for(train, cache), landmarks_for(validation, cache))
    return Run(config, train, validation, folder, command, votes_NK=votes_NK, points_NP2=points_NP2)


def read_sides(config: TrainConfig) -> tuple[Faces, Faces]:
    """Reads the faces to learn from and those to choose by."""
    if config.protocol:
        path = Path(config.protocol).expanduser()
        train, validation = (
            read_fold(config.data, path, config.fold, side) for side in ("train", "validation")
        )
    else:
        train = read_faces(config.data, "Training")
        validation = read_faces(config.data, "PublicTest")
    if config.faces:
        train = drawn(train, config.faces, config.seed)
    return train, validation


def drawn(faces: Faces, count: int, seed: int) -> Faces:
    """Draws some faces by lot, every class in its share; all of them if there are no more."""
    if count >= len(faces):
        return faces
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(faces))
    by_class = [order[faces.labels_N[order] == label] for label in np.unique(faces.labels_N)]
    ranks = np.concatenate([np.arange(len(rows)) / len(rows) for rows in by_class])
    rows = np.concatenate(by_class)[np.argsort(ranks, kind="stable")][:count]
    return replace(faces.take(np.sort(rows)), source=faces.source)
