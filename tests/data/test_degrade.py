import cv2
import numpy as np
import pytest
import torch

from edge_fer.data.degrade import Degradation, blurred, coded, darkened, degrade

ALL = Degradation(dark_stops=3, blur=0.05, noise=0.1, jpeg=4)


@pytest.fixture
def batch_NCHW():
    """Smooth shapes with an edge, in the networks' range."""
    y, x = torch.meshgrid(torch.linspace(0, 3, 44), torch.linspace(0, 5, 50), indexing="ij")
    shades = torch.sin(x + y) * 0.6 + 0.3 * (x > 2)
    return shades.expand(40, 1, 44, 50).clone()


def spoiled(x_NCHW, limits, seed=0):
    return degrade(x_NCHW, limits, torch.Generator().manual_seed(seed))


def constant(x_NCHW, value):
    return torch.full((len(x_NCHW),), value)


def test_nothing_is_done_without_limits(batch_NCHW):
    assert torch.equal(spoiled(batch_NCHW, Degradation()), batch_NCHW)


def test_shape_and_range_stay_and_the_seed_decides(batch_NCHW):
    first = spoiled(batch_NCHW, ALL, seed=3)
    assert first.shape == batch_NCHW.shape
    assert float(first.abs().max()) <= 1
    assert torch.equal(first, spoiled(batch_NCHW, ALL, seed=3))
    assert not torch.equal(first, spoiled(batch_NCHW, ALL, seed=4))


@pytest.mark.parametrize("kind", ["dark_stops", "blur", "noise", "jpeg"])
def test_about_half_of_the_images_stay_as_they_were(batch_NCHW, kind):
    limits = Degradation(**{kind: getattr(ALL, kind)})
    result = spoiled(batch_NCHW, limits)
    changed = (result - batch_NCHW).abs().amax((1, 2, 3)) > 1e-4
    assert 8 < int(changed.sum()) < 32


def test_a_stop_halves_the_distance_from_black(batch_NCHW):
    dark = darkened(batch_NCHW, constant(batch_NCHW, 2.0))
    torch.testing.assert_close(dark + 1, (batch_NCHW + 1) / 4)


def test_blur_is_a_gaussian_of_that_sigma(batch_NCHW):
    face_HW = batch_NCHW[0, 0].numpy()
    ours_HW = blurred(batch_NCHW, constant(batch_NCHW, 0.04))[0, 0].numpy()
    theirs_HW = cv2.GaussianBlur(face_HW, (21, 21), 0.04 * 50, borderType=cv2.BORDER_REFLECT)
    inside = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(ours_HW[inside], theirs_HW[inside], atol=5e-3)


def test_noise_has_that_sigma():
    gray_NCHW = torch.zeros(400, 1, 32, 32)
    result = spoiled(gray_NCHW, Degradation(noise=0.05))
    sigmas_N = result.flatten(1).std(1) / 2
    assert float(sigmas_N.max()) == pytest.approx(0.05, rel=0.1)
    assert float(sigmas_N[sigmas_N > 0].mean()) == pytest.approx(0.025, rel=0.15)


@pytest.mark.parametrize(("quality", "coarseness"), [(50, 1.0), (15, 50 / 15)])
def test_blocks_are_rounded_as_a_jpeg_file_rounds_them(batch_NCHW, quality, coarseness):
    pixels = ((batch_NCHW[:1] + 1) * 127.5).round()
    x_NCHW = (pixels - 128) / 128
    _, data = cv2.imencode(
        ".jpg", pixels[0, 0].numpy().astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    theirs_HW = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(np.float32)
    ours_HW = coded(x_NCHW, constant(x_NCHW, coarseness))[0, 0].numpy() * 128 + 128
    whole_blocks = (slice(40), slice(48))
    rounded_HW = ours_HW.round().clip(0, 255)[whole_blocks]
    change_HW = theirs_HW[whole_blocks] - pixels[0, 0].numpy()[whole_blocks]
    assert np.abs(change_HW).max() > 4
    assert np.abs(rounded_HW - theirs_HW[whole_blocks]).mean() < 0.2 * np.abs(change_HW).mean()
