"""Grad-CAM of networks whose heat is known."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from edge_fer.explain.gradcam import Explainer, heat, open_explainer, scaled, upper_share
from edge_fer.models import build_model
from tests.explain.conftest import Shared


def test_heat_is_the_weighted_sum_of_the_channels():
    """With a mean and a dense layer, a channel's weight is the dense layer's over the places."""
    network = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    x_NCHW = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    classes_N = np.array([0, 1, 1, 0])
    found_NHW = heat(network, "0", x_NCHW, classes_N)
    weights_NC = network[3].weight[classes_N].detach() / 25
    expected_NHW = torch.einsum("nc,nchw->nhw", weights_NC, x_NCHW).relu()
    assert expected_NHW.max() > 0
    np.testing.assert_allclose(found_NHW, expected_NHW.numpy(), atol=1e-6)


def test_heat_is_where_the_class_is(halves):
    x_NCHW = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    left_HW, right_HW = heat(halves, "mask", x_NCHW, np.array([0, 1]))
    np.testing.assert_allclose(left_HW[:, :4], x_NCHW[0, 0, :, :4] / 64, rtol=1e-5)
    assert (left_HW[:, 4:] == 0).all()
    np.testing.assert_allclose(right_HW[:, 4:], x_NCHW[1, 0, :, 4:] / 64, rtol=1e-5)
    assert (right_HW[:, :4] == 0).all()


def test_heat_takes_the_size_of_the_input(halves):
    halves.maps = nn.Sequential(nn.MaxPool2d(4), halves.maps)
    explainer = open_explainer(halves, (1, 1, 16, 16))
    assert explainer.map_hw == (4, 4)
    heat_HW = explainer.heat_maps(torch.ones(1, 1, 16, 16), np.array([0]))[""][0]
    assert heat_HW.shape == (16, 16)
    assert (heat_HW[:, :6] == 1).all()
    assert (heat_HW[:, 10:] == 0).all()


def test_nothing_speaks_for_a_class(halves):
    heat_HW = open_explainer(halves, (1, 1, 8, 8)).heat_maps(-torch.ones(1, 1, 8, 8), [0])[""][0]
    assert (heat_HW == 0).all()
    assert upper_share(heat_HW) is None


def test_activations_in_place_and_shared_change_nothing():
    torch.manual_seed(0)
    kept = Shared(inplace=False)
    in_place = Shared(inplace=True)
    in_place.load_state_dict(kept.state_dict())
    x_NCHW = torch.randn(3, 1, 6, 6)
    maps = [open_explainer(network, (1, 1, 6, 6)) for network in (kept, in_place)]
    assert [explainer.layer for explainer in maps] == ["second", "second"]
    heat_NHW, other_NHW = (explainer.heat_maps(x_NCHW, [0, 1, 2])[""] for explainer in maps)
    assert heat_NHW.max() == 1
    np.testing.assert_array_equal(heat_NHW, other_NHW)


def test_explaining_leaves_the_network_as_it_was():
    network = build_model("arch-1", num_classes=7).train()
    before = copy.deepcopy(network.state_dict())
    open_explainer(network, (1, 1, 48, 48)).heat_maps(torch.rand(2, 1, 48, 48), [0, 1])
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_face_is_explained_the_same_in_any_company(halves):
    x_NCHW = torch.rand(70, 1, 8, 8)
    classes_N = np.arange(70) % 2
    explainer = open_explainer(halves, (1, 1, 8, 8))
    together_NHW = explainer.heat_maps(x_NCHW, classes_N)[""]
    alone_HW = explainer.heat_maps(x_NCHW[69:], classes_N[69:])[""][0]
    np.testing.assert_allclose(together_NHW[69], alone_HW, rtol=1e-6)


def test_the_union_is_the_hottest_of_the_parts(halves):
    parts = {"one": halves, "two": copy.deepcopy(halves)}
    nn.init.constant_(parts["two"].head.weight, 1)
    explainer = Explainer(network=halves, parts=parts, layer="mask", map_hw=(8, 8))
    maps = explainer.heat_maps(torch.rand(1, 1, 8, 8) + 0.5, np.array([0]))
    assert tuple(maps) == ("one", "two", "union") == explainer.map_names
    assert (maps["one"][0][:, 4:] == 0).all()
    assert (maps["two"] > 0).all()
    np.testing.assert_array_equal(maps["union"], np.maximum(maps["one"], maps["two"]))


def test_outputs_are_probabilities_of_the_whole_and_of_the_parts():
    explainer = open_explainer(build_model("part-ensemble", num_classes=7), (1, 3, 32, 32))
    outputs = explainer.outputs(torch.rand(2, 3, 32, 32))
    assert set(outputs) == {"", "eyebrows", "eyes", "nose", "mouth", "jaw"}
    for of_NK in outputs.values():
        np.testing.assert_allclose(of_NK.sum(1), 1, rtol=1e-5)


def test_scaling_keeps_maps_of_zeros():
    heat_NHW = np.stack([np.zeros((2, 2)), np.full((2, 2), 4.0)])
    np.testing.assert_array_equal(scaled(heat_NHW), np.stack([np.zeros((2, 2)), np.ones((2, 2))]))


@pytest.mark.parametrize(("rows", "share"), [([1, 0], 1), ([1, 3], 0.25), ([2, 4, 0], 4 / 6)])
def test_share_of_the_upper_half(rows, share):
    assert upper_share(np.array([rows]).T * np.ones((1, 3))) == pytest.approx(share)
