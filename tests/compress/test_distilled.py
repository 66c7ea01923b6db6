import numpy as np
import pytest
import torch
from torch import nn

from edge_fer.compress.calibrate import calibrate
from edge_fer.compress.distilled import distil_images, statistics_loss
from edge_fer.errors import ModelError
from edge_fer.preprocess import Preprocessing, normalise

GRAY = Preprocessing(height_px=24, width_px=24)


def smooth_images(channels=1):
    small = torch.rand(32, 1, 4, 4, generator=torch.Generator().manual_seed(3))
    return nn.functional.interpolate(small, (24, 24), mode="bicubic").repeat(1, channels, 1, 1) - 1


@pytest.fixture(scope="module")
def trained():
    """A network whose batch norms have seen smooth images."""
    return _trained(1)


def _trained(channels):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7),
    )  # fmt: skip
    for norm in (network[1], network[4]):
        norm.momentum = None
    with torch.no_grad():
        network.train()(smooth_images(channels))
    return network.eval()


def loss_of(network, images):
    x = torch.from_numpy(normalise(images)).unsqueeze(1)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        return float(statistics_loss(network, norms, x))


def test_the_images_match_the_batch_norms_far_better_than_noise(trained):
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 24), np.uint8)
    images = distil_images(trained, GRAY, seed=0, images=16, steps=40)
    assert (images.shape, images.dtype) == ((16, 24, 24), np.uint8)
    assert loss_of(trained, images) < 0.1 * loss_of(trained, noise)


def test_the_seed_decides_the_images(trained):
    first, again, other = (
        distil_images(trained, GRAY, seed=seed, images=4, steps=3) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_gray_three_times_stays_gray():
    images = distil_images(
        _trained(3),
        Preprocessing(height_px=24, width_px=24, color="gray3"),
        seed=0,
        images=2,
        steps=3,
    )
    assert images.shape == (2, 24, 24, 3)
    assert (images == images[..., :1]).all()


def test_colour_has_three_channels_of_its_own():
    preprocessing = Preprocessing(height_px=24, width_px=24, color="rgb")
    images = distil_images(_trained(3), preprocessing, seed=0, images=2, steps=3)
    assert (images != images[..., :1]).any()


def test_every_step_is_told(trained):
    told = []
    distil_images(
        trained, GRAY, seed=0, images=40, steps=2, on_step=lambda *step: told.append(step)
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_without_batch_norms_there_is_nothing_to_distil():
    with pytest.raises(ModelError, match="batch norm"):
        distil_images(nn.Conv2d(1, 1, 3), GRAY, seed=0)


def test_calibration_takes_the_word_and_needs_no_data(trained):
    found = calibrate("distilled", GRAY, images=3, seed=0, network=trained)
    assert found.source == {"data": "distilled"}
    assert len(found.images) == 3
    assert (found.images[0].min(), found.images[0].max()) == (0, 255)
