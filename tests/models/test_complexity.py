"""The counters against torch's own and against sums done by hand."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edge_fer.errors import ModelError
from edge_fer.models import MODELS, build_model
from edge_fer.models.complexity import describe


@pytest.mark.parametrize("name", MODELS)
def test_macs_are_half_of_torchs_flops(name):
    shape = (1, *MODELS[name].input_chw)
    network = build_model(name, num_classes=7)
    cost = describe(network, shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.to("meta").eval()(torch.empty(shape, device="meta"))
    assert cost.flops == counter.get_total_flops() == 2 * cost.macs
    assert cost.macs == sum(row.macs for row in cost.layers) > 0


@pytest.mark.parametrize("name", MODELS)
def test_rows_add_up_to_the_parameters(name):
    network = build_model(name, num_classes=7)
    cost = describe(network, (4, *MODELS[name].input_chw))
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("tracked")}
    assert cost.params_total == sum(tensor.numel() for tensor in state.values())
    assert cost.params_total == sum(row.params for row in cost.layers)
    assert cost.float32_mb == cost.params_total * 4 / 1e6
    assert cost.layers[-1].output_shape[0] == 1


def test_describing_changes_nothing():
    network = build_model("arch-1", num_classes=7).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    describe(network, (1, 1, 48, 48))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_peak_of_a_chain_is_its_largest_neighbours():
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1)
    )
    assert describe(network, (1, 1, 8, 8)).peak_activation_mb == (4 + 2) * 64 * 4 / 1e6


def test_peak_counts_what_a_residual_holds():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 1, 1)

        def forward(self, x_NCHW):
            return x_NCHW + self.second(self.first(x_NCHW))

    assert describe(Residual(), (1, 1, 8, 8)).peak_activation_mb == (1 + 4 + 1) * 64 * 4 / 1e6


def test_an_input_that_does_not_fit_is_refused():
    with pytest.raises(ModelError, match=r"does not take input \[1, 3, 48, 48\]"):
        describe(build_model("arch-1", num_classes=7), (1, 3, 48, 48))
    with pytest.raises(ModelError, match="does not take input"):
        describe(build_model("arch-2", num_classes=7), (1, 1, 64, 64))
