"""How a checkpoint is trained again: the recipe, the start, and itself as the teacher."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_fer.compress.prune_request import Tuning
from edge_fer.models import find_model
from edge_fer.models.part_ensemble import PartEnsemble
from edge_fer.train.checkpoint import Checkpoint
from edge_fer.train.config import TrainConfig
from edge_fer.train.configure import configure


def retraining(tuning: Tuning, original: Checkpoint, source: Path, start: Path) -> TrainConfig:
    """Returns the configuration of a run that trains a checkpoint again.

    Args:
        tuning: Data and recipe. Without teachers the original is the teacher, except of a part
            ensemble, whose parts have no single answer.
        original: The checkpoint.
        source: Its file.
        start: Checkpoint to start from: the same file, or what pruning left of it.

    Raises:
        EdgeFerError: The recipe or its changes cannot be used.
    """
    metadata = original.metadata
    taught = bool(tuning.teachers) or not isinstance(original.network, PartEnsemble)
    size_px = metadata["input_nchw"][2]
    own_size = size_px == find_model(metadata["model"]).input_chw[1]
    return configure(
        tuning.recipe,
        _changes(tuning, taught=taught),
        model=metadata["model"],
        data=tuning.data,
        options=metadata["options"],
        pretrained="none",
        init=str(start),
        input_px=0 if own_size else size_px,
        teachers=tuning.teachers or ((str(source),) if taught else ()),
        protocol=tuning.protocol,
        fold=tuning.fold,
        seed=tuning.seed,
    )


def _changes(tuning: Tuning, *, taught: bool) -> Mapping[str, Any]:
    epochs = {"epochs": tuning.epochs} if tuning.epochs else {}
    return ({} if taught else {"distill": 0.0}) | epochs | dict(tuning.changes)
