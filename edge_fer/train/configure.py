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
        values: Fields of ``TrainConfig``. Where ``options``, ``pretrained`` (``none`` for a start
            from scratch) or ``input_px`` are not given, the recipe's hold.

    Raises:
        EdgeFerError: The recipe cannot be used, or needs a file that is not given.
    """
    read = read_training_recipe(find_resource("training", recipe), changes)
    pretrained = values.get("pretrained") or read.pretrained or None
    if pretrained == "file":
        raise EdgeFerError(
            f"recipe {read.name} starts from pretrained weights: give --pretrained FILE, or "
            "--pretrained none to start from scratch"
        )
    return TrainConfig(
        stages=read.stages,
        recipe=read.name,
        **values
        | {
            "options": {**read.options, **values.get("options", {})},
            "pretrained": None if pretrained == _FROM_SCRATCH else pretrained,
            "input_px": values.get("input_px") or read.input_px,
        },
    )
