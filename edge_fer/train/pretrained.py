"""Starting from weights that others trained."""

from pathlib import Path

import torch
from torch import Generator, nn

from edge_fer.models import find_model, load_pretrained
from edge_fer.train.config import TrainConfig
from edge_fer.train.inputs import Batch, normalised, shaped

PACKAGE = "package"
_FACES_FOR_STATISTICS = 1024


def start_pretrained(
    config: TrainConfig, network: nn.Module, faces: Batch, input_chw: tuple[int, int, int]
) -> None:
    """Fills a network with pretrained weights and, where these bring none, takes statistics.

    Args:
        config: Its ``pretrained`` is not ``None``.
        network: Changed in place.
        faces: What will be trained on.
        input_chw: Of the network.

    Raises:
        ModelError: There are no such weights for the model, or they are missing or do not fit.
    """
    path = None if config.pretrained == PACKAGE else Path(str(config.pretrained)).expanduser()
    load_pretrained(config.model, network, path)
    take_statistics = find_model(config.model).take_statistics
    if take_statistics:
        drawn = torch.randperm(len(faces), generator=Generator().manual_seed(0))
        pixels = faces.take(drawn[:_FACES_FOR_STATISTICS]).pixels_NCHW
        take_statistics(network, shaped(normalised(pixels), input_chw))
