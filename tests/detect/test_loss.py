import numpy as np
import pytest
import torch

from edge_fer.data.scenes import Photo
from edge_fer.detect.loss import box_overlap, detection_loss, point_loss, score_loss
from edge_fer.detect.targets import FACE, lessons_of
from edge_fer.runtime.faces.decode import overlaps

BOX = np.array([[40.0, 30, 30, 40]])
POINTS = np.array([[[50.0, 42], [62, 42], [56, 50], [51, 60], [61, 60]]])


def lessons(points_N52=POINTS):
    image = np.zeros((128, 160), np.uint8)
    return lessons_of([Photo(name="s", image_HW=image, boxes_N4=BOX, points_N52=points_N52)])


def right_answer(taught):
    """What a perfect network would say."""
    raw_BHWC = taught.wanted_BHWC.nan_to_num()
    raw_BHWC[..., 0] = torch.where(taught.kinds_BHW == FACE, 8.0, -8.0)
    return raw_BHWC.permute(0, 3, 1, 2).clone().requires_grad_()


def test_the_right_answer_costs_almost_nothing():
    taught = lessons()
    assert detection_loss(right_answer(taught), taught).item() < 1e-3


@pytest.mark.parametrize(("channel", "change"), [(0, -9.0), (1, 1.5), (3, 2.0), (7, 3.0)])
def test_every_mistake_costs(channel, change):
    taught = lessons()
    raw_NCHW = right_answer(taught).detach()
    raw_NCHW[:, channel] += torch.where(taught.kinds_BHW == FACE, change, 0.0)
    assert detection_loss(raw_NCHW, taught).item() > 0.03


def test_unknown_points_cost_nothing():
    taught = lessons(np.full((1, 5, 2), np.nan))
    raw_NCHW = right_answer(taught)
    detection_loss(raw_NCHW, taught).backward()
    assert raw_NCHW.grad.isfinite().all()
    on_faces = raw_NCHW.grad.permute(0, 2, 3, 1)[taught.kinds_BHW == FACE]
    assert (on_faces[:, 5:] == 0).all()


def test_a_picture_without_faces_costs_its_scores():
    image = np.zeros((64, 64), np.uint8)
    taught = lessons_of([Photo(name="none", image_HW=image)])
    quiet = torch.full((1, 15, 8, 8), 0.0)
    quiet[:, 0] = -8
    loud = quiet.clone()
    loud[:, 0, 3, 3] = 4
    assert detection_loss(quiet, taught).item() < 1e-3
    assert detection_loss(loud, taught).item() > 1


def test_overlap_is_that_of_the_decoder():
    raw_FC = torch.zeros(1, 15)
    wanted_FC = torch.zeros(1, 15)
    wanted_FC[0, 1:5] = torch.tensor([0.5, -0.25, 0.8, -0.4])
    overlap_F, distance_F = box_overlap(raw_FC, wanted_FC)

    def box(row):
        size = 8 * np.exp(row[3:5].numpy() / 4 + 2)
        return np.concatenate([8 * row[1:3].numpy() - size / 2, size])

    expected = overlaps(box(raw_FC[0]), box(wanted_FC[0])[np.newaxis])[0]
    assert overlap_F.item() == pytest.approx(expected, rel=1e-5)
    assert 0 < distance_F.item() < 1


def test_a_score_is_best_at_the_quality_that_is_wanted():
    quality = torch.full((101,), 0.7)
    probabilities = torch.linspace(0.005, 0.995, 101)
    costs = score_loss(probabilities.logit(), quality)
    assert abs(probabilities[costs.argmin()].item() - 0.7) < 0.01


def test_points_are_averaged_over_those_known():
    wanted = torch.zeros(1, 10)
    wanted[0, 2:] = torch.nan
    assert point_loss(torch.ones(1, 10), wanted).item() == pytest.approx(0.75)
