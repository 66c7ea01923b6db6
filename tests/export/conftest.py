import pytest
import torch
from torch import nn

from edge_fer.export.onnx import export_onnx
from edge_fer.export.tflite import export_tflite

INPUT_NCHW = (1, 1, 16, 16)


@pytest.fixture(scope="session")
def network():
    """Stem with batch norm, depthwise, pointwise, pooling and a dense layer."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 6, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )
    net[1].running_mean.uniform_(-0.1, 0.1)
    net[1].running_var.uniform_(0.5, 1.5)
    return net.eval()


@pytest.fixture(scope="session")
def float_tflite(network):
    return export_tflite(network, INPUT_NCHW)


@pytest.fixture(scope="session")
def float_onnx(network):
    return export_onnx(network, INPUT_NCHW)
