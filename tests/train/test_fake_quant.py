import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edge_fer.models import MODELS, build_model
from edge_fer.models.resnet import BasicBlock
from edge_fer.train.fake_quant import (
    round_activations,
    round_outputs,
    round_weights,
    rounded_call,
    stored_modules,
)


def values(seed, *shape, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


@given(st.integers(0, 99), st.floats(1e-3, 1e3))
def test_weights_have_at_most_255_levels_per_channel_and_small_errors(seed, scale):
    weight = values(seed, 3, 4, 3, 3, scale=scale)
    rounded = round_weights(weight)
    for one, channel in zip(weight, rounded, strict=True):
        step = one.abs().max() / 127
        levels = channel / step
        assert torch.allclose(levels, levels.round(), atol=1e-2)
        assert (channel - one).abs().max() <= step / 2 * 1.001


@given(st.integers(0, 99), st.floats(-3, 3))
def test_activations_keep_zero_and_their_range(seed, shift):
    x = values(seed, 2, 5, 4, 4) + shift
    rounded = round_activations(x)
    step = (max(float(x.max()), 0) - min(float(x.min()), 0)) / 255
    assert (rounded - x).abs().max() <= step / 2 * 1.01
    assert round_activations(torch.zeros(3)).abs().max() == 0


def test_gradients_pass_straight_through():
    weight = values(0, 2, 3).requires_grad_()
    round_weights(weight).sum().backward()
    assert torch.equal(weight.grad, torch.ones(2, 3))


def test_rounding_per_channel_commutes_with_scaling_channels():
    weight, factor = values(1, 4, 3, 3, 3), torch.tensor([0.1, 2.0, 30.0, 1.0]).view(4, 1, 1, 1)
    assert torch.allclose(round_weights(weight) * factor, round_weights(weight * factor), rtol=1e-5)


def test_what_is_fused_is_stored_once():
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(),  # stored after the ReLU
        nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4),  # after the norm
        nn.MaxPool2d(2), nn.SiLU(), nn.Flatten(),  # after the SiLU
        nn.Linear(4 * 4 * 4, 3),
    )  # fmt: skip
    stored = stored_modules(network, torch.zeros(1, 1, 12, 12))
    assert [list(network).index(module) for module in stored] == [2, 4, 6, 8]


def test_a_norm_behind_an_activation_is_stored_on_its_own():
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))
    assert len(stored_modules(network, torch.zeros(1, 1, 4, 4))) == 2


def test_both_branches_of_a_residual_block_are_stored():
    block = BasicBlock(4, 8, 2)
    stored = stored_modules(block, torch.zeros(1, 4, 8, 8))
    kinds = [type(module).__name__ for module in stored]
    assert kinds == ["ReLU", "BatchNorm2d", "BatchNorm2d", "ReLU"]


@pytest.mark.parametrize("name", ["arch-1", "emonas", "moeffnet-lite", "resnet"])
def test_networks_of_the_zoo_compute_nearly_the_same_when_rounded(name):
    torch.manual_seed(0)
    entry = MODELS[name]
    network = build_model(name, num_classes=7).train()
    x_NCHW = values(2, 4, *entry.input_chw).clamp(-1, 1)
    network(x_NCHW)
    network.eval()
    names = list(network.state_dict())
    with torch.no_grad():
        exact = network(x_NCHW)
        handles = round_outputs(network, x_NCHW[:1])
        rounded = rounded_call(network, x_NCHW)
        assert not torch.equal(rounded, exact)
        assert (rounded - exact).abs().mean() < 0.2 * exact.std() + 0.02
        for handle in handles:
            handle.remove()
        assert torch.equal(network(x_NCHW), exact)
    assert list(network.state_dict()) == names
