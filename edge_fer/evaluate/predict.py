"""Logits of many faces, through a checkpoint or through an artifact."""

import numpy as np
import torch
from torch import nn

from edge_fer.preprocess import normalise
from edge_fer.runtime.classifier import from_output, input_of_pixel
from edge_fer.runtime.engines import Engine

BATCH_SIZE = 256


def torch_logits(network: nn.Module, images_NHW: np.ndarray) -> np.ndarray:
    """Returns float32 ``[N, K]`` for uint8 faces ``[N, H, W]``; ``network`` is in eval mode."""
    with torch.inference_mode():
        batches = [
            network(
                torch.from_numpy(normalise(images_NHW[first : first + BATCH_SIZE])).unsqueeze(1)
            )
            for first in range(0, len(images_NHW), BATCH_SIZE)
        ]
    return np.asarray(torch.cat(batches).numpy(), np.float32)


def engine_logits(engine: Engine, images_NHW: np.ndarray) -> np.ndarray:
    """Returns float32 ``[N, K]`` for uint8 faces ``[N, H, W]``, one inference each."""
    table = input_of_pixel(engine.input)
    shape = engine.input.shape
    return np.stack(
        [from_output(engine(table[image].reshape(shape)), engine.output) for image in images_NHW]
    )
