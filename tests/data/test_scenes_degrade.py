import numpy as np
import pytest

from edge_fer.data.scenes_degrade import NOTHING, ONLY, Degradation, degraded

IMAGE = np.tile(np.linspace(40, 215, 64).astype(np.uint8), (48, 1))


@pytest.mark.parametrize("light", ONLY)
def test_every_condition_keeps_the_size_and_follows_its_seed(light):
    pictures = [degraded(IMAGE, np.random.default_rng(3), ONLY[light]) for _ in range(2)]
    assert pictures[0].shape == IMAGE.shape
    assert pictures[0].dtype == np.uint8
    np.testing.assert_array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize(("light", "least", "most"), [("dark", 0, 70), ("bright", 150, 255)])
def test_dark_is_dark_and_bright_is_bright(light, least, most):
    means = [degraded(IMAGE, np.random.default_rng(i), ONLY[light]).mean() for i in range(20)]
    assert least < np.mean(means) < most


def roughness(image):
    return np.abs(np.diff(image.astype(float), axis=0)).mean()


def test_noise_roughens_and_blur_smooths():
    rough = np.random.default_rng(0).integers(60, 190, (48, 64), np.uint8)
    plain = degraded(rough, np.random.default_rng(1), ONLY["plain"])
    assert roughness(degraded(rough, np.random.default_rng(1), ONLY["blurred"])) < roughness(plain)
    assert roughness(degraded(IMAGE, np.random.default_rng(1), ONLY["noisy"])) > 1


def test_light_from_a_side_leaves_one_side_darker():
    flat = np.full((48, 64), 128, np.uint8)
    lit = degraded(flat, np.random.default_rng(2), ONLY["side"]).astype(float)
    assert lit.max() - lit.min() > 15


def test_compression_alone_changes_little():
    squeezed = degraded(IMAGE, np.random.default_rng(5), Degradation(**NOTHING | {"jpeg": 1.0}))
    plain = degraded(IMAGE, np.random.default_rng(5), ONLY["plain"])
    assert 0 < np.abs(squeezed.astype(float) - plain).mean() < 6
