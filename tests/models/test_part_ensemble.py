"""The part-based ensemble: sizes, landmarks, the ensemble's policy."""

import pytest
import torch

from edge_fer.errors import ModelError
from edge_fer.models.complexity import describe, own_values
from edge_fer.models.part_ensemble import (
    PARTS,
    LandmarkNetwork,
    PartEnsemble,
    PartNetwork,
    part_baseline,
    part_ftl,
)


def values(module):
    return sum(own_values(part) for part in module.modules())


def test_sizes_are_the_papers():
    network = PartNetwork(num_classes=8)
    assert (values(network.extractor), values(network.head)) == (295_440, 34_056)
    for build in (PartEnsemble, part_baseline, part_ftl):
        assert values(build(num_classes=8)) == 1_647_480


def test_flops_by_the_papers_formulas():
    """Equations 7 to 9 count max pooling too, one operation per output."""
    cost = describe(PartNetwork(num_classes=8), (1, 3, 160, 160))
    pooling = sum(torch.Size(row.output_shape).numel() for row in cost.layers if "Max" in row.kind)
    assert (cost.flops + pooling) / 1e9 == pytest.approx(0.671, abs=5e-4)


def test_parts_share_the_68_landmarks_out():
    assert {part: len(points) for part, points in PARTS.items()} == {
        "eyebrows": 10,
        "eyes": 12,
        "nose": 9,
        "mouth": 20,
        "jaw": 17,
    }
    assert sorted(point for points in PARTS.values() for point in points) == list(range(68))


def test_baselines_learn_no_landmarks_or_all():
    assert {len(points) for points in part_baseline().landmarks.values()} == {0}
    assert {len(points) for points in part_ftl().landmarks.values()} == {68}
    assert len(part_ftl().networks) == len(part_baseline().networks) == 5


@pytest.mark.parametrize(("points", "head"), [(9, 18_834), (68, 34_056)])
def test_localisation_head(points, head):
    network = PartNetwork()
    localiser = LandmarkNetwork(network, points)
    assert values(localiser.head) == head
    assert localiser.extractor is network.extractor
    assert localiser(torch.zeros(2, 3, 32, 32)).shape == (2, points, 2)


def test_landmark_training_reaches_the_classifier():
    torch.manual_seed(0)
    network = PartNetwork()
    before = network.extractor[0].weight.clone()
    localiser = LandmarkNetwork(network, 9)
    optimizer = torch.optim.SGD(localiser.parameters(), lr=0.1)
    localiser(torch.randn(2, 3, 32, 32)).abs().mean().backward()
    optimizer.step()
    assert not torch.equal(network.extractor[0].weight, before)


def test_the_ensemble_sums_the_probabilities():
    torch.manual_seed(0)
    ensemble = PartEnsemble(num_classes=4).eval()
    x_NCHW = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        sum_NK = ensemble(x_NCHW)
        parts = torch.stack([part(x_NCHW).softmax(1) for part in ensemble.networks.values()])
    assert torch.allclose(sum_NK, parts.sum(0))
    assert torch.allclose(sum_NK.sum(1), torch.full((3,), 5.0))


def test_bad_arguments_are_refused():
    with pytest.raises(ModelError, match="channels"):
        PartEnsemble(in_channels=2)
