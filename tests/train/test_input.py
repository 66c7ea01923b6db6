import numpy as np
import pytest
import torch

from edge_fer.data.faces import Faces
from edge_fer.models import MODELS
from edge_fer.preprocess import Preprocessing, normalise
from edge_fer.train.inputs import fit_input, normalised, on_device, prepared


@pytest.mark.parametrize(("channels", "side"), [(1, 48), (3, 48), (3, 120), (3, 224)])
def test_training_feeds_what_the_device_feeds_up_to_rounding(channels, side):
    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    color = "gray" if channels == 1 else "gray3"
    device = normalise(Preprocessing(height_px=side, width_px=side, color=color).fit(face))
    x_NCHW = torch.from_numpy(normalise(face))[None, None]
    training = fit_input(x_NCHW, (channels, side, side))[0].permute(1, 2, 0).numpy()
    assert training.shape == (side, side, channels)
    assert np.abs(training - device.reshape(training.shape)).max() < 1 / 128


@pytest.mark.parametrize("side", [48, 100])
@pytest.mark.parametrize("model", ["part-ensemble", "moeffnet-lite", "arch-1", "patt-lite"])
def test_training_sees_each_models_faces_as_the_device_does(model, side):
    images_NHW = np.random.default_rng(1).integers(0, 256, (3, side, side), np.uint8)
    faces = Faces(
        images_NHW=images_NHW, labels_N=np.zeros(3, np.int64), label_names=("a",), source="x:y"
    )
    entry = MODELS[model]
    device = np.stack([normalise(entry.preprocessing.fit(image)) for image in images_NHW])
    batch = on_device(prepared(faces, entry.preprocessing), torch.device("cpu"))
    training_NCHW = fit_input(normalised(batch.pixels_NCHW), entry.input_chw)
    training = training_NCHW.permute(0, 2, 3, 1).numpy().reshape(device.shape)
    assert np.abs(training - device).max() < 1 / 128
