import pytest
import torch
from torch import nn

from edge_fer.bench import latency
from edge_fer.bench.latency import LatencyMeter
from edge_fer.errors import ModelError


def network(width):
    layers = [nn.Conv2d(1, width, 3, stride=4), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 7)).eval()


@pytest.mark.slow
def test_a_network_of_fifty_times_the_work_takes_longer(monkeypatch):
    monkeypatch.setattr(latency, "ROUNDS", 5)
    torch.manual_seed(0)
    meter = LatencyMeter("onnxruntime", 1)
    wide_ms = meter(network(112), (1, 1, 48, 48))
    narrow_ms = meter(network(16), (1, 1, 48, 48))
    assert 0 < narrow_ms < wide_ms


def test_an_unknown_engine_is_refused():
    with pytest.raises(ModelError, match="steam"):
        LatencyMeter("steam", 1)
