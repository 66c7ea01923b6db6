"""Teachers: trained networks whose mean answer a student learns."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.models.part_ensemble import PartEnsemble
from edge_fer.preprocess import Preprocessing
from edge_fer.train.checkpoint import load_checkpoint
from edge_fer.train.devices import placed
from edge_fer.train.inputs import Batch, fit_input, normalised

_BATCH = 256
#: Takes images ``[N, C, H, W]`` in -1..1 and a temperature, gives probabilities ``[N, K]``.
Teachers = Callable[[Tensor, float], Tensor]


def load_teachers(
    paths: Sequence[str],
    labels: tuple[str, ...],
    preprocessing: Preprocessing,
    device: torch.device,
) -> Teachers:
    """Loads checkpoints as one teacher: the mean of their probabilities.

    Args:
        paths: Of the checkpoints.
        labels: The student's.
        preprocessing: The student's; a teacher is shown the same faces, at its own size.
        device: Where they answer.

    Raises:
        ModelError: A file is not a checkpoint, or one of other labels or of faces that are
            equalised otherwise.
    """
    members = [_member(Path(path).expanduser(), labels, preprocessing, device) for path in paths]

    def teach(x_NCHW: Tensor, temperature: float) -> Tensor:
        with torch.no_grad():
            answers = [
                (network(fit_input(x_NCHW, input_chw)).float() / temperature).softmax(1)
                for network, input_chw in members
            ]
            return torch.stack(answers).mean(0)

    return teach


def answers_once(
    teachers: Teachers, faces: Batch, temperature: float, on_batch: Callable[[], None]
) -> Tensor:
    """Asks teachers about every face and its mirror image.

    Args:
        teachers: Who answers.
        faces: Of a split, all of them.
        temperature: Of the softmax.
        on_batch: Called after each of the batches.

    Returns:
        float32 ``[N, K]``: the mean of both probabilities.
    """
    answers = []
    for first in range(0, len(faces), _BATCH):
        x_NCHW = normalised(faces.pixels_NCHW[first : first + _BATCH])
        both = teachers(x_NCHW, temperature), teachers(x_NCHW.flip(-1), temperature)
        answers.append(torch.stack(both).mean(0))
        on_batch()
    return torch.cat(answers)


def _member(
    path: Path, labels: tuple[str, ...], preprocessing: Preprocessing, device: torch.device
) -> tuple[nn.Module, tuple[int, int, int]]:
    checkpoint = load_checkpoint(path)
    if checkpoint.labels != labels:
        raise ModelError(f"{path}: a teacher of {', '.join(checkpoint.labels)}, not of these faces")
    if checkpoint.preprocessing.clahe_clip != preprocessing.clahe_clip:
        raise ModelError(f"{path}: a teacher of faces that are equalised otherwise")
    if isinstance(checkpoint.network, PartEnsemble):
        raise ModelError(f"{path}: an ensemble of parts gives sums, not logits, and cannot teach")
    _, channels, height_px, width_px = checkpoint.metadata["input_nchw"]
    network = placed(checkpoint.network, device)
    return network.requires_grad_(False), (channels, height_px, width_px)
