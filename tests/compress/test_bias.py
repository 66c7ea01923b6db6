import copy

import numpy as np
import pytest
import torch
from torch import nn

from edge_fer.compress.bias import correct_biases, rounded_weights
from edge_fer.evaluate.predict import torch_logits
from edge_fer.preprocess import Preprocessing


def rounded(network):
    changed = copy.deepcopy(network)
    for module in changed.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data = rounded_weights(module.weight.data)
    return changed


def mean_shift(network, changed, images):
    before, after = (torch_logits(n, images, Preprocessing()).mean(0) for n in (network, changed))
    return np.abs(after - before).sum()


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_of_the_outputs_shifts_less(build_tiny, calibration_NHW, seed):
    torch.manual_seed(seed)
    network = build_tiny().eval()
    corrected = rounded(correct_biases(network, calibration_NHW))
    shift = mean_shift(network, rounded(network), calibration_NHW)
    assert mean_shift(network, corrected, calibration_NHW) < 0.5 * shift


def test_the_network_itself_stays_as_it_is(network, calibration_NHW):
    before = copy.deepcopy(network.state_dict())
    correct_biases(network, calibration_NHW)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_rounding_knows_255_values_per_channel_and_keeps_zero():
    weight = torch.cat([torch.linspace(-1, 3, 999)[None], torch.zeros(1, 999)])
    steps = rounded_weights(weight) / (3 / 127)
    assert torch.allclose(steps[0], steps[0].round(), atol=1e-3)
    assert steps[0].max() == pytest.approx(127)
    assert not steps[1].any()
