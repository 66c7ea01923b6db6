"""ARCH-1 to ARCH-4 against the paper's tables."""

import pytest
import torch
from torch import nn

from edge_fer.errors import ModelError
from edge_fer.models import build_model
from edge_fer.models.arch import Arch1, Arch2, Arch4
from edge_fer.models.complexity import describe


@pytest.mark.parametrize(
    ("name", "total", "trainable"),
    [
        ("arch-1", 293_951, 292_863),
        ("arch-2", 1_142_463, 1_141_375),
        ("arch-3", 306_831, 305_807),
        ("arch-4", 1_155_343, 1_154_319),
    ],
)
def test_totals_are_the_papers(name, total, trainable):
    cost = describe(build_model(name, num_classes=7), (1, 1, 48, 48))
    assert (cost.params_total, cost.params_trainable) == (total, trainable)


def test_arch_1_costs_54_megaflops():
    assert describe(Arch1(), (1, 1, 48, 48)).flops == 54_051_840


def test_arch_1_keeps_the_names_its_checkpoints_have():
    names = set(Arch1().state_dict())
    assert len(names) == 80
    assert {
        "stem.0.weight",
        "stem.10.running_var",
        "separable.main.0.1.weight",
        "separable.main.4.bias",
        "separable.shortcut.3.weight",
        "trunk.0.bias",
        "trunk.3.weight",
        "trunk.7.bias",
        "trunk.10.weight",
        "trunk.11.running_mean",
        "classifier.bias",
    } <= names


def test_relu_and_max_pooling_commute():
    """What lets the networks pool after the activation where the tables pool before it."""

    def pool_before_relu(module: nn.Sequential) -> None:
        for i in range(len(module) - 1):
            if isinstance(module[i], nn.ReLU) and isinstance(module[i + 1], nn.MaxPool2d):
                module[i], module[i + 1] = module[i + 1], module[i]

    torch.manual_seed(0)
    network = Arch1().eval()
    x_NCHW = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        ours = network(x_NCHW)
        for part in (network.stem, network.separable.main, network.trunk):
            pool_before_relu(part)
        assert isinstance(network.stem[-1], nn.ReLU)
        assert torch.equal(network(x_NCHW), ours)


@pytest.mark.parametrize("network", [Arch2, Arch4])
def test_dense_head_follows_the_size(network):
    logits_NK = network(num_classes=5, size=64).eval()(torch.zeros(1, 1, 64, 64))
    assert logits_NK.shape == (1, 5)
    with pytest.raises(ModelError, match="divisible by 16"):
        network(size=50)
