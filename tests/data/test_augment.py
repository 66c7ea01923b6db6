import pytest
import torch

from edge_fer.data.augment import Augmentation, augment

NOTHING = Augmentation(flip=0, rotation_deg=0, shift=0, zoom=0, contrast=0, brightness=0)


@pytest.fixture
def batch_NCHW():
    return torch.rand(6, 1, 48, 48, generator=torch.Generator().manual_seed(1)) * 2 - 1


def changed(x_NCHW, ranges, seed=0):
    return augment(x_NCHW, ranges, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "ranges", [Augmentation(), Augmentation(contrast=3, brightness=2, shift=1)]
)
def test_shape_type_and_range_are_kept(batch_NCHW, ranges):
    result = changed(batch_NCHW, ranges)
    assert result.shape == batch_NCHW.shape
    assert result.dtype == torch.float32
    assert float(result.min()) >= -1
    assert float(result.max()) <= 1


def test_the_same_seed_gives_the_same_batch_and_another_seed_another(batch_NCHW):
    first = changed(batch_NCHW, Augmentation(), seed=5)
    assert torch.equal(first, changed(batch_NCHW, Augmentation(), seed=5))
    assert not torch.equal(first, changed(batch_NCHW, Augmentation(), seed=6))


def test_zero_ranges_change_nothing(batch_NCHW):
    torch.testing.assert_close(changed(batch_NCHW, NOTHING), batch_NCHW, rtol=0, atol=1e-5)


def test_flip_1_mirrors_left_and_right(batch_NCHW):
    ranges = Augmentation(flip=1, rotation_deg=0, shift=0, zoom=0, contrast=0, brightness=0)
    mirrored = batch_NCHW.flip(-1)
    torch.testing.assert_close(changed(batch_NCHW, ranges), mirrored, rtol=0, atol=1e-5)


def test_flip_half_mirrors_about_half_of_the_faces():
    ramp = torch.linspace(-1, 1, 48).expand(400, 1, 48, 48)
    ranges = Augmentation(flip=0.5, rotation_deg=0, shift=0, zoom=0, contrast=0, brightness=0)
    flipped = int((changed(ramp, ranges)[:, 0, 0, 0] > 0).sum())
    assert 150 < flipped < 250


def test_every_face_of_a_batch_draws_its_own_changes(batch_NCHW):
    copies = batch_NCHW[:1].expand(6, 1, 48, 48)
    result = changed(copies, Augmentation())
    assert all(not torch.equal(result[0], other) for other in result[1:])


def test_a_face_does_not_depend_on_the_others_in_its_batch(batch_NCHW):
    others = batch_NCHW.clone()
    others[1:] = -others[1:]
    first, second = changed(batch_NCHW, Augmentation()), changed(others, Augmentation())
    torch.testing.assert_close(first[0], second[0], rtol=0, atol=0)


def test_shift_is_a_fraction_of_the_side():
    ramp = torch.linspace(-1, 1, 48).expand(200, 1, 48, 48)
    ranges = Augmentation(flip=0, rotation_deg=0, shift=0.25, zoom=0, contrast=0, brightness=0)
    step = float(ramp[0, 0, 0, 1] - ramp[0, 0, 0, 0])
    moved_px = (changed(ramp, ranges) - ramp)[:, 0, 24, 24].abs() / step
    assert 10 < float(moved_px.max()) <= 12.01


def test_pixels_from_outside_repeat_the_border():
    x_NCHW = torch.full((20, 1, 48, 48), 0.5)
    ranges = Augmentation(flip=0.5, rotation_deg=30, shift=0.3, zoom=0.3, contrast=0, brightness=0)
    torch.testing.assert_close(changed(x_NCHW, ranges), x_NCHW, rtol=0, atol=1e-5)


def test_brightness_is_a_fraction_of_the_full_range():
    grey = torch.zeros(200, 1, 8, 8)
    ranges = Augmentation(flip=0, rotation_deg=0, shift=0, zoom=0, contrast=0, brightness=0.1)
    offsets = changed(grey, ranges)[:, 0, 0, 0].abs()
    assert 0.19 < float(offsets.max()) <= 0.2
