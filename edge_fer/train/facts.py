"""What a checkpoint says of how it was made."""

import platform
from dataclasses import replace
from typing import Any

import torch

import edge_fer
from edge_fer.data.faces import Faces
from edge_fer.data.spec import spec_name
from edge_fer.errors import ModelError
from edge_fer.models import find_model
from edge_fer.preprocess import Preprocessing
from edge_fer.train.checkpoint import Checkpoint
from edge_fer.train.config import TrainConfig

#: Weighting of the dynamic images that a data specification makes of clips.
CLIP_OF_WAY = {"dynamic": "bilen", "dynamic-paper": "paper"}

Input = tuple[tuple[int, int, int], Preprocessing]


def input_of(config: TrainConfig, faces: Faces, origin: Checkpoint | None) -> Input:
    """Returns channels, height and width of a run's network, and what it expects of a face.

    Args:
        config: Of the run.
        faces: To learn from.
        origin: The checkpoint that it starts from; its input is kept but for ``input_px``.

    Raises:
        ModelError: Pictures made of clips have three planes and the network has another number.
    """
    if origin is not None:
        channels, height_px, width_px = origin.metadata["input_nchw"][1:]
        if config.input_px:
            height_px = width_px = config.input_px
        resized = replace(origin.preprocessing, height_px=height_px, width_px=width_px)
        return (channels, height_px, width_px), resized
    entry = find_model(config.model)
    channels, height_px, width_px = entry.input_chw
    if config.input_px:
        height_px = width_px = config.input_px
    values = entry.preprocessing.to_dict() | {"height_px": height_px, "width_px": width_px}
    if faces.images_NHW.ndim == 4:
        if channels != faces.images_NHW.shape[3]:
            raise ModelError(f"{config.model} takes {channels} channel, not flow or dynamic images")
        clip = CLIP_OF_WAY.get(config.data.partition(":")[0], "")
        values |= {"color": "flow", "clahe_clip": 0.0, "eyes": None, "clip": clip}
    return (channels, height_px, width_px), Preprocessing.from_dict(values)


def facts_of(
    config: TrainConfig, inputs: Input, train: Faces, validation: Faces, command: str
) -> dict[str, Any]:
    """Returns a checkpoint's metadata, but for the metrics."""
    input_chw, preprocessing = inputs
    return {
        "model": config.model,
        "options": config.options,
        "labels": list(train.label_names),
        "input_nchw": [1, *input_chw],
        "preprocessing": preprocessing.to_dict(),
        "data": spec_name(config.data),
        "split": {"train": _part(train), "validation": _part(validation)},
        "config": config.to_dict(),
        "command": command,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Returns what a network was trained with."""
    return {
        "edge-fer": edge_fer.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _part(faces: Faces) -> str:
    return faces.source.partition(":")[2]
