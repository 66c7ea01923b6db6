"""What `--pretrained` starts from."""

import importlib.util

import numpy as np
import pytest
import torch

from edge_fer.errors import ModelError
from edge_fer.models import build_model
from edge_fer.train.config import TrainConfig
from edge_fer.train.inputs import Batch, normalised, shaped
from edge_fer.train.pretrained import PACKAGE, start_pretrained

CHW = (1, 112, 112)


def config(model, pretrained):
    return TrainConfig(model=model, data="x:y", pretrained=pretrained)


@pytest.fixture
def faces():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 1, 48, 48), np.uint8)
    return Batch(pixels_NCHW=torch.from_numpy(pixels), labels_N=torch.zeros(6, dtype=torch.int64))


@pytest.mark.skipif(
    importlib.util.find_spec("face_recognition_models") is None,
    reason="face_recognition_models is not installed",
)
def test_training_starts_from_what_the_network_computes_on_its_faces(faces):
    network = build_model("face-resnet", num_classes=7, levels=2)
    start_pretrained(config("face-resnet", PACKAGE), network, faces, CHW)
    x_NCHW = shaped(normalised(faces.pixels_NCHW), CHW)
    with torch.no_grad():
        evaluated_NK = network.eval()(x_NCHW)
        trained_NK = network.train()(x_NCHW)
    torch.testing.assert_close(trained_NK, evaluated_NK, rtol=1e-3, atol=1e-3)


def test_a_file_is_refused_where_a_package_has_the_weights(faces):
    network = build_model("face-resnet", num_classes=7, levels=1)
    with pytest.raises(ModelError, match="--pretrained package"):
        start_pretrained(config("face-resnet", "weights.dat"), network, faces, CHW)


def test_a_model_without_such_weights_says_so(faces):
    network = build_model("arch-1", num_classes=7)
    with pytest.raises(ModelError, match="arch-1 is trained from scratch"):
        start_pretrained(config("arch-1", PACKAGE), network, faces, (1, 48, 48))
