"""From a recipe's name and a user's wishes to a configuration."""

from collections.abc import Mapping
from typing import Any

from edge_fer.errors import EdgeFerError
from edge_fer.resources import find_resource
from edge_fer.train.config import TrainConfig
from edge_fer.train.recipe import read_training_recipe

_FROM_SCRATCH = "none"


def configure(recipe: str, changes: Mapping[str, Any], **values: Any) -> TrainConfig:
    """Builds the configuration of a run.

    Args:
        recipe: Name or path of a training recipe.
        changes: Of its settings; see ``read_training_recipe``.
        values: Fields of ``TrainConfig``. Where ``options``, ``imagenet`` (``none`` for a start
            from scratch) or ``input_px`` are not given, the recipe's hold.

    Raises:
        EdgeFerError: The recipe cannot be used, or needs a file that is not given.
    """
    read = read_training_recipe(find_resource("training", recipe), changes)
    imagenet = values.get("imagenet") or read.imagenet or None
    if imagenet == "file":
        raise EdgeFerError(
            f"recipe {read.name} starts from ImageNet weights: give --imagenet FILE, or "
            "--imagenet none to start from scratch"
        )
    return TrainConfig(
        stages=read.stages,
        recipe=read.name,
        **values
        | {
            "options": {**read.options, **values.get("options", {})},
            "imagenet": None if imagenet == _FROM_SCRATCH else imagenet,
            "input_px": values.get("input_px") or read.input_px,
        },
    )
