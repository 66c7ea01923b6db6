import numpy as np
import pytest
import torch

from edge_fer.preprocess import Preprocessing, normalise
from edge_fer.train.inputs import fit_input


@pytest.mark.parametrize(("channels", "side"), [(1, 48), (3, 48), (3, 120), (3, 224)])
def test_training_feeds_what_the_device_feeds_up_to_rounding(channels, side):
    face = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    color = "gray" if channels == 1 else "gray3"
    device = normalise(Preprocessing(height_px=side, width_px=side, color=color).fit(face))
    x_NCHW = torch.from_numpy(normalise(face))[None, None]
    training = fit_input(x_NCHW, (channels, side, side))[0].permute(1, 2, 0).numpy()
    assert training.shape == (side, side, channels)
    assert np.abs(training - device.reshape(training.shape)).max() < 1 / 128
