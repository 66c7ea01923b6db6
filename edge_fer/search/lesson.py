"""One batch's loss as a function of weights and alphas.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor
from torch.func import functional_call

from edge_fer.data.augment import augment
from edge_fer.data.degrade import degrade
from edge_fer.search.alphas import mixtures
from edge_fer.search.latency import LatencyTerm
from edge_fer.search.supernet import Moment, SuperNet
from edge_fer.train.config import Stage
from edge_fer.train.inputs import Batch, normalised, shaped
from edge_fer.train.mix import mix
from edge_fer.train.objective import classification_loss, target_distribution


@dataclass(frozen=True, kw_only=True)
class Classroom:
    """What all lessons of a search share.

    Attributes:
        network: The one that is searched.
        intermediate: Its cells' intermediate nodes.
        stage: How it learns.
        input_chw: Of the network.
        prior_K: Share of each class.
        autocast: Context of the search's precision.
    """

    network: SuperNet
    intermediate: int
    stage: Stage
    input_chw: tuple[int, int, int]
    prior_K: Tensor
    autocast: Callable[[], AbstractContextManager[None]]


@dataclass(kw_only=True)
class Lesson:
    """A batch, augmented once.

    Attributes:
        room: What lessons share.
        x_NCHW: Inputs of the network.
        targets_NK: Target distributions.
        labels_N: Labels.
        moment: What guards say now.
        seed: Of dropout, the same whenever the loss is asked for.
        latency: What is added to the loss, or ``None``.
        figures: Sum of the loss without ``latency``, and labels found, of the last call.
    """

    room: Classroom
    x_NCHW: Tensor
    targets_NK: Tensor
    labels_N: Tensor
    moment: Moment
    seed: int
    latency: LatencyTerm | None = None
    figures: Tensor = field(default_factory=lambda: torch.zeros(2))

    def loss(self, weights: Sequence[Tensor], alphas: Sequence[Tensor]) -> Tensor:
        """Returns the mean loss; ``weights`` as ``network.parameters()`` has them."""
        room = self.room
        torch.manual_seed(self.seed)
        normal_EO, reduction_EO = mixtures(alphas, room.intermediate)
        names = [name for name, _ in room.network.named_parameters()]
        named = dict(zip(names, weights, strict=True))
        arguments = (self.x_NCHW, normal_EO, reduction_EO, self.moment)
        with room.autocast():
            logits_NK = functional_call(room.network, named, arguments).float()
        loss = classification_loss([logits_NK], self.targets_NK, room.prior_K, room.stage)
        found = (logits_NK.detach().argmax(1) == self.labels_N).sum()
        self.figures = torch.stack([loss.detach().double() * len(self.labels_N), found.double()])
        if self.latency is None:
            return loss
        return loss + self.latency.penalty(normal_EO, reduction_EO)


def lesson_on(
    faces: Batch,
    room: Classroom,
    moment: Moment,
    generator: Generator,
    latency: LatencyTerm | None = None,
) -> Lesson:
    """Makes a lesson of faces; all randomness comes from ``generator``."""
    stage = room.stage
    x_NCHW = augment(normalised(faces.pixels_NCHW), stage.augmentation, generator)
    targets_NK = target_distribution(faces.labels_N, None, stage, len(room.prior_K))
    if stage.mix > 0:
        x_NCHW, targets_NK = mix(x_NCHW, targets_NK, stage, generator)
    x_NCHW = degrade(x_NCHW, stage.augmentation, generator)
    return Lesson(
        room=room,
        x_NCHW=shaped(x_NCHW, room.input_chw),
        targets_NK=targets_NK,
        labels_N=faces.labels_N,
        moment=moment,
        seed=int(torch.randint(2**31, (1,), generator=generator)),
        latency=latency,
    )
