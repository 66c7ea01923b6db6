import math

import pytest
import torch
from torch.nn import functional

from edge_fer.train.config import Stage
from edge_fer.train.objective import (
    class_prior,
    classification_loss,
    distillation_loss,
    landmark_loss,
    target_distribution,
)

LABELS = torch.tensor([0, 2, 1])
UNIFORM = torch.full((3,), 1 / 3)


def logits():
    return torch.randn(3, 3, generator=torch.Generator().manual_seed(0))


def test_smoothed_targets_give_torchs_smoothed_cross_entropy():
    stage = Stage(label_smoothing=0.1)
    targets_NK = target_distribution(LABELS, None, stage, 3)
    ours = classification_loss([logits()], targets_NK, UNIFORM, stage)
    theirs = functional.cross_entropy(logits(), LABELS, label_smoothing=0.1)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6)


def test_votes_take_their_share_of_the_target():
    votes_NK = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 8.0]])
    targets_NK = target_distribution(LABELS, votes_NK, Stage(votes=0.5, label_smoothing=0.0), 3)
    expected = torch.tensor([[0.875, 0.125, 0.0], [0.0, 0.0, 1.0], [0.0, 0.5, 0.5]])
    assert torch.allclose(targets_NK, expected)


def test_the_prior_is_the_share_of_each_class_and_never_zero():
    assert class_prior(torch.tensor([0, 0, 0, 1]), 2).tolist() == [0.75, 0.25]
    assert class_prior(torch.tensor([0, 0, 0]), 2).min() > 0


def test_class_weights_have_mean_one_over_the_faces():
    labels_N = torch.tensor([0] * 8 + [1] * 2)
    prior_K = class_prior(labels_N, 2)
    stage = Stage(class_balance="weights", label_smoothing=0.0)
    flat = torch.zeros(10, 2)
    loss = classification_loss([flat], functional.one_hot(labels_N).float(), prior_K, stage)
    assert float(loss) == pytest.approx(math.log(2))


def test_balanced_softmax_is_cross_entropy_of_logits_plus_log_prior():
    prior_K = torch.tensor([0.7, 0.2, 0.1])
    stage = Stage(class_balance="balanced_softmax", label_smoothing=0.0)
    targets_NK = target_distribution(LABELS, None, stage, 3)
    ours = classification_loss([logits()], targets_NK, prior_K, stage)
    theirs = functional.cross_entropy(logits() + prior_K.log(), LABELS)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-6)


def test_members_of_an_ensemble_each_count():
    stage = Stage(label_smoothing=0.0)
    targets_NK = target_distribution(LABELS, None, stage, 3)
    one = classification_loss([logits()], targets_NK, UNIFORM, stage)
    five = classification_loss([logits()] * 5, targets_NK, UNIFORM, stage)
    assert float(five) == pytest.approx(5 * float(one), rel=1e-6)


def test_distillation_is_zero_where_the_student_is_the_teacher():
    teacher_NK = (logits() / 3).softmax(1)
    assert float(distillation_loss([logits()], teacher_NK, 3.0)) == pytest.approx(0, abs=1e-6)
    assert float(distillation_loss([-logits()], teacher_NK, 3.0)) > 0.1


def test_landmarks_are_compared_part_by_part():
    points_NP2 = torch.zeros(2, 68, 2)
    points_NP2[:, 36:48] = 0.5
    places = {"eyes": torch.full((2, 12, 2), 0.75), "jaw": torch.zeros(2, 17, 2)}
    loss = landmark_loss(places, points_NP2, {"eyes": range(36, 48), "jaw": range(17)})
    assert float(loss) == pytest.approx(0.25)
