"""Logits of many faces, through a checkpoint or through an artifact.

Torch is imported where it is used, so that a bundle is evaluated on a device too.
"""

from typing import TYPE_CHECKING

import numpy as np

from edge_fer.preprocess import Preprocessing, normalise, to_tensor_shape
from edge_fer.runtime.classifier import from_output, input_of_pixel
from edge_fer.runtime.engines import Engine

if TYPE_CHECKING:
    from torch import nn

BATCH_SIZE = 64


def torch_logits(
    network: "nn.Module", images_NHW: np.ndarray, preprocessing: Preprocessing
) -> np.ndarray:
    """Logits through torch.

    Args:
        network: In evaluation mode.
        images_NHW: uint8 face crops of any one size.
        preprocessing: Of the network.

    Returns:
        float32 ``[N, K]``.
    """
    import torch

    with torch.inference_mode():
        batches = [
            network(torch.from_numpy(_batch(images_NHW[first : first + BATCH_SIZE], preprocessing)))
            for first in range(0, len(images_NHW), BATCH_SIZE)
        ]
    return np.asarray(torch.cat(batches).numpy(), np.float32)


def _batch(images_NHW: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    x = normalise(np.stack([preprocessing.fit(image) for image in images_NHW]))
    return x[:, np.newaxis] if x.ndim == 3 else x.transpose(0, 3, 1, 2)


def engine_logits(
    engine: Engine, images_NHW: np.ndarray, preprocessing: Preprocessing
) -> np.ndarray:
    """Logits through an artifact, one inference a face; arguments as ``torch_logits``."""
    table = input_of_pixel(engine.input)
    inputs = (
        to_tensor_shape(table[preprocessing.fit(image)], engine.input.shape) for image in images_NHW
    )
    return np.stack([from_output(engine(x), engine.output) for x in inputs])
