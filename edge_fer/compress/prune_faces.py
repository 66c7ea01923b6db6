"""What pruning does with faces: gradients on some to learn from, accuracy on those to judge by."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from edge_fer.data.faces import Faces
from edge_fer.evaluate.predict import torch_logits
from edge_fer.preprocess import Preprocessing
from edge_fer.train.config import Stage
from edge_fer.train.inputs import normalised, on_device, prepared, shaped
from edge_fer.train.session import drawn
from edge_fer.train.trainee import trainee_of

BATCHES, BATCH_SIZE = 32, 64


def losses(
    network: nn.Module,
    faces: Faces,
    input_chw: tuple[int, int, int],
    preprocessing: Preprocessing,
    seed: int,
) -> Iterator[Tensor]:
    """Yields the cross-entropy of one batch after the other, of faces drawn by lot.

    Args:
        network: In evaluation mode; of an ensemble the members' losses are summed.
        faces: To draw from, labelled.
        input_chw: Of the network.
        preprocessing: Of the network.
        seed: Of the draw.
    """
    chosen = drawn(faces, BATCHES * BATCH_SIZE, seed)
    batch = on_device(prepared(chosen, preprocessing), torch.device("cpu"))
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(chosen)))
    trainee = trainee_of(network, Stage())
    for first in range(0, len(order), BATCH_SIZE):
        part = batch.take(order[first : first + BATCH_SIZE])
        outputs = trainee(shaped(normalised(part.pixels_NCHW), input_chw))
        each = [nn.functional.cross_entropy(one_NK, part.labels_N) for one_NK in outputs]
        yield torch.stack(each).sum()


def accuracy(network: nn.Module, faces: Faces, preprocessing: Preprocessing) -> float:
    """Returns the share of faces whose label the network finds."""
    logits_NK = torch_logits(network, faces.images_NHW, preprocessing)
    return float((logits_NK.argmax(1) == faces.labels_N).mean())
