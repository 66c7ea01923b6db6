"""What a step minimises. Shape suffixes: N images, K classes, P landmarks, 2 is (x, y)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from edge_fer.train.config import Stage


def target_distribution(labels_N: Tensor, votes_NK: Tensor | None, stage: Stage, k: int) -> Tensor:
    """Returns float32 ``[N, K]``: the label, softened by votes and by smoothing.

    A face without any vote for the classes keeps its label.
    """
    targets_NK = functional.one_hot(labels_N, k).float()
    if votes_NK is not None and stage.votes > 0:
        total_N1 = votes_NK.sum(1, keepdim=True)
        votes_NK = torch.where(total_N1 > 0, votes_NK / total_N1.clamp(min=1e-9), targets_NK)
        targets_NK = torch.lerp(targets_NK, votes_NK, stage.votes)
    return targets_NK * (1 - stage.label_smoothing) + stage.label_smoothing / k


def class_prior(labels_N: Tensor, k: int) -> Tensor:
    """Returns float32 ``[K]``, the share of each class; a class without a face counts as one."""
    counts_K = torch.bincount(labels_N, minlength=k).clamp(min=1).float()
    return counts_K / counts_K.sum()


def classification_loss(
    logits: Sequence[Tensor], targets_NK: Tensor, prior_K: Tensor, stage: Stage
) -> Tensor:
    """Cross-entropy, summed over the members of an ensemble (each ``[N, K]`` logits)."""
    weight_K = None
    if stage.class_balance == "weights":
        weight_K = 1 / (prior_K * len(prior_K))
    shift_K = prior_K.log() if stage.class_balance == "balanced_softmax" else 0
    losses = [
        functional.cross_entropy(one_NK + shift_K, targets_NK, weight=weight_K) for one_NK in logits
    ]
    return torch.stack(losses).sum()


def distillation_loss(logits: Sequence[Tensor], teacher_NK: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teachers' distribution at a temperature, times T^2.

    Args:
        logits: Of each member, ``[N, K]``.
        teacher_NK: The teachers' probabilities at that temperature.
        temperature: T.
    """
    losses = [
        functional.kl_div((one_NK / temperature).log_softmax(1), teacher_NK, reduction="batchmean")
        for one_NK in logits
    ]
    return torch.stack(losses).sum() * temperature**2


def landmark_loss(
    places: Mapping[str, Tensor], points_NP2: Tensor, parts: Mapping[str, range]
) -> Tensor:
    """Mean absolute distance of each part's landmarks, summed over the parts.

    Args:
        places: Predicted ``[N, points, 2]`` of each part, fractions of width and height.
        points_NP2: All 68.
        parts: Which of the 68 each part has.
    """
    losses = [functional.l1_loss(places[name], points_NP2[:, list(parts[name])]) for name in places]
    return torch.stack(losses).sum()
