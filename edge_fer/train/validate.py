"""How good a network is on the validation split.

Shape suffixes: N images, K classes.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from edge_fer.train.inputs import Batch, normalised, shaped
from edge_fer.train.objective import landmark_loss
from edge_fer.train.trainee import Classifying, Localising

BATCH_SIZE = 256


def validate(
    examiner: Classifying | Localising,
    faces: Batch,
    input_chw: tuple[int, int, int],
    classes: int,
    share: tuple[int, int] = (0, 1),
) -> dict[str, Any]:
    """Judges a network.

    Args:
        examiner: In evaluation mode.
        faces: Of the validation split.
        input_chw: Of the network.
        classes: K.
        share: Number of this process and of all; each sees its part of the faces, and all get the
            figures of the whole.

    Returns:
        ``validation_loss``, and ``validation_accuracy`` and ``validation_uar`` (fractions; ``None``
        for landmarks).
    """
    device = faces.labels_N.device
    accuracy = MulticlassAccuracy(classes, average="micro").to(device)
    recall = MulticlassAccuracy(classes, average="macro").to(device)
    loss = MeanMetric().to(device)
    rows = torch.arange(len(faces), device=device)[share[0] :: share[1]]
    with torch.inference_mode():
        for first in range(0, len(rows), BATCH_SIZE):
            part = faces.take(rows[first : first + BATCH_SIZE])
            output = examiner(shaped(normalised(part.pixels_NCHW), input_chw))
            if isinstance(examiner, Localising):
                assert part.points_NP2 is not None
                loss.update(landmark_loss(output, part.points_NP2, examiner.parts), len(part))
                continue
            mean_NK = torch.stack([one_NK.softmax(1) for one_NK in output]).mean(0)
            accuracy.update(mean_NK, part.labels_N)
            recall.update(mean_NK, part.labels_N)
            loss.update(_negative_log_likelihood(mean_NK, part.labels_N), len(part))
    labels = not isinstance(examiner, Localising)
    return {
        "validation_loss": float(loss.compute()),
        "validation_accuracy": float(accuracy.compute()) if labels else None,
        "validation_uar": float(recall.compute()) if labels else None,
    }


def _negative_log_likelihood(probabilities_NK: Tensor, labels_N: Tensor) -> Tensor:
    return -probabilities_NK.gather(1, labels_N[:, None]).clamp(min=1e-12).log().mean()
