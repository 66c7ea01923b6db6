import numpy as np
import pytest
import torch
from torch import nn

from edge_fer.compress.quantize_onnx import quantize_onnx
from edge_fer.compress.quantize_tflite import quantize_tflite
from edge_fer.export.onnx import export_onnx
from edge_fer.export.tflite import export_tflite
from edge_fer.labels import FER2013_LABELS
from edge_fer.models import MODELS, ModelEntry
from edge_fer.preprocess import Preprocessing
from edge_fer.train.checkpoint import save_checkpoint


def _build_tiny(num_classes=7, in_channels=1):
    return nn.Sequential(
        nn.Conv2d(in_channels, 6, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.Conv2d(6, 8, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, num_classes),
    )


@pytest.fixture(scope="session")
def build_tiny():
    return _build_tiny


@pytest.fixture(scope="session")
def network():
    torch.manual_seed(0)
    return _build_tiny().eval()


@pytest.fixture(scope="session")
def calibration_NHW():
    images = np.random.default_rng(0).integers(0, 256, (24, 48, 48), np.uint8)
    images[0, 0, :2] = 0, 255
    return images


@pytest.fixture(scope="session")
def artifacts(network, calibration_NHW):
    """Bytes by name: ``fp32.tflite``, ``int8.tflite``, ``fp32.onnx``, ``int8.onnx``."""
    tflite, onnx = export_tflite(network, (1, 1, 48, 48)), export_onnx(network, (1, 1, 48, 48))
    return {
        "fp32.tflite": tflite,
        "int8.tflite": quantize_tflite(tflite, calibration_NHW),
        "fp32.onnx": onnx,
        "int8.onnx": quantize_onnx(onnx, calibration_NHW),
    }


@pytest.fixture
def checkpoint(network, build_tiny, tmp_path, monkeypatch):
    entry = ModelEntry(build=build_tiny, input_chw=(1, 48, 48), face="", source="this test")
    monkeypatch.setitem(MODELS, "tiny", entry)
    path = tmp_path / "tiny.safetensors"
    metadata = {
        "model": "tiny",
        "options": {},
        "labels": list(FER2013_LABELS),
        "input_nchw": [1, 1, 48, 48],
        "preprocessing": Preprocessing().to_dict(),
        "data": "fer2013",
        "split": {"train": "Training"},
        "metrics": {},
        "command": "edge-fer train tiny",
        "versions": {"torch": "0"},
    }
    save_checkpoint(path, network.state_dict(), metadata)
    return path
