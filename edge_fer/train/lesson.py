"""One step's loss: what a stage makes of a batch of faces.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from edge_fer.data.augment import augment, augment_with_points
from edge_fer.data.degrade import degrade
from edge_fer.errors import EdgeFerError
from edge_fer.train.config import Stage
from edge_fer.train.inputs import Batch, normalised, shaped
from edge_fer.train.mix import mix
from edge_fer.train.objective import (
    classification_loss,
    distillation_loss,
    landmark_loss,
    target_distribution,
)
from edge_fer.train.teachers import Teachers
from edge_fer.train.trainee import Classifying, Localising


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a stage teaches.

    Attributes:
        stage: Its settings.
        trainee: What learns.
        model: The same, as the accelerator runs it.
        input_chw: Of the network.
        prior_K: Share of each class in the training faces.
        teachers: Whose answers are distilled.
        autocast: Context of the run's precision, for the teachers.
    """

    stage: Stage
    trainee: Classifying | Localising
    model: nn.Module
    input_chw: tuple[int, int, int]
    prior_K: Tensor
    teachers: Teachers
    autocast: Callable[[], AbstractContextManager[None]]

    def loss(self, faces: Batch, generator: Generator) -> tuple[Tensor, Tensor]:
        """Returns the loss of a batch, and how many labels were found (0 for landmarks)."""
        if isinstance(self.trainee, Localising):
            return self._localisation(faces, generator, self.trainee)
        return self._classification(faces, generator)

    def _classification(self, faces: Batch, generator: Generator) -> tuple[Tensor, Tensor]:
        stage = self.stage
        x_NCHW = augment(normalised(faces.pixels_NCHW), stage.augmentation, generator)
        targets_NK = target_distribution(faces.labels_N, faces.votes_NK, stage, len(self.prior_K))
        if stage.mix > 0:
            x_NCHW, targets_NK = mix(x_NCHW, targets_NK, stage, generator)
        seen_NCHW = degrade(x_NCHW, stage.augmentation, generator)
        logits = self.model(shaped(seen_NCHW, self.input_chw))
        loss = classification_loss(logits, targets_NK, self.prior_K, stage)
        if stage.distill > 0:
            teacher_NK = faces.answers_NK
            if teacher_NK is None:
                with self.autocast():
                    teacher_NK = self.teachers(x_NCHW, stage.distill_temperature)
            taught = distillation_loss(logits, teacher_NK, stage.distill_temperature)
            loss = torch.lerp(loss, taught, stage.distill)
        mean_NK = torch.stack([one_NK.detach().softmax(1) for one_NK in logits]).mean(0)
        return loss, (mean_NK.argmax(1) == faces.labels_N).sum()

    def _localisation(
        self, faces: Batch, generator: Generator, trainee: Localising
    ) -> tuple[Tensor, Tensor]:
        if faces.points_NP2 is None:
            raise EdgeFerError("a stage that learns landmarks needs them: give --landmarks FILE")
        x_NCHW, points_NP2 = augment_with_points(
            normalised(faces.pixels_NCHW), faces.points_NP2, self.stage.augmentation, generator
        )
        x_NCHW = degrade(x_NCHW, self.stage.augmentation, generator)
        places = self.model(shaped(x_NCHW, self.input_chw))
        loss = landmark_loss(places, points_NP2, trainee.parts)
        return loss, torch.zeros((), device=loss.device)
