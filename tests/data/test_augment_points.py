from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.data.augment import (
    MIRRORED_LANDMARKS,
    Augmentation,
    augment,
    augment_with_points,
)
from edge_fer.models.part_ensemble import PARTS

NOTHING = Augmentation(flip=0, rotation_deg=0, shift=0, zoom=0, contrast=0, brightness=0)
HEIGHT, WIDTH = 64, 96


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def dots(points_P2, height=HEIGHT, width=WIDTH):
    """One black picture per point, with a bright spot two pixels wide on it: [P, 1, H, W]."""
    y = (torch.arange(height).view(-1, 1) + 0.5) / height
    x = (torch.arange(width) + 0.5) / width
    far_x = (x - points_P2[:, 0].view(-1, 1, 1)) * width
    far_y = (y - points_P2[:, 1].view(-1, 1, 1)) * height
    return (torch.exp(-(far_x**2 + far_y**2) / 8) - 1).unsqueeze(1)


def brightest(x_NCHW):
    """The brightest pixel of each picture, (x, y) in pixels: [N, 2]."""
    spot = x_NCHW[:, 0].flatten(1).argmax(dim=1)
    return torch.stack([spot % WIDTH, spot // WIDTH], dim=1)


def face_points(seed=1):
    return torch.rand(68, 2, generator=seeded(seed)) * 0.4 + 0.3


@given(
    seed=st.integers(0, 10**6),
    flip=st.sampled_from([0.0, 1.0]),
    rotation_deg=st.floats(0, 30),
    shift=st.floats(0, 0.08),
    zoom=st.floats(0, 0.2),
    shear=st.floats(0, 0.2),
)
@settings(deadline=None, max_examples=40)
def test_points_stay_on_what_they_mark(seed, flip, rotation_deg, shift, zoom, shear):
    geometry = {"rotation_deg": rotation_deg, "shift": shift, "zoom": zoom, "shear": shear}
    ranges = Augmentation(flip=flip, contrast=0.2, brightness=0, **geometry)
    points_P2 = face_points()
    changed, moved_NP2 = augment_with_points(
        dots(points_P2), points_P2.expand(68, 68, 2), ranges, seeded(seed)
    )
    now = torch.tensor(MIRRORED_LANDMARKS) if flip else torch.arange(68)
    expected = moved_NP2[torch.arange(68), now] * torch.tensor([WIDTH, HEIGHT]) - 0.5
    inside = ((expected > 2) & (expected < torch.tensor([WIDTH - 3, HEIGHT - 3]))).all(dim=1)
    assert inside.sum() > 30
    assert (brightest(changed) - expected)[inside].abs().max() <= 1


def test_the_mirror_swaps_left_and_right_and_is_its_own_inverse():
    mirror = torch.tensor(MIRRORED_LANDMARKS)
    assert torch.equal(mirror[mirror], torch.arange(68))
    pairs = {0: 16, 8: 8, 17: 26, 21: 22, 30: 30, 31: 35, 36: 45, 39: 42, 37: 44, 40: 47, 41: 46}
    pairs |= {48: 54, 51: 51, 55: 59, 57: 57, 60: 64, 62: 62, 65: 67}
    assert {left: MIRRORED_LANDMARKS[left] for left in pairs} == pairs


def test_every_landmark_stays_in_its_part_of_the_face_when_mirrored():
    for part in PARTS.values():
        assert {MIRRORED_LANDMARKS[index] for index in part} == set(part)


def test_a_mirrored_face_keeps_the_order_of_landmarks_from_left_to_right():
    points_P2 = face_points()
    flipped, unflipped = replace(NOTHING, flip=1.0), NOTHING
    pictures = torch.zeros(1, 1, HEIGHT, WIDTH)
    _, same = augment_with_points(pictures, points_P2[None], unflipped, seeded())
    _, mirrored = augment_with_points(pictures, points_P2[None], flipped, seeded())
    torch.testing.assert_close(same[0], points_P2)
    torch.testing.assert_close(mirrored[0, 36, 0], 1 - points_P2[45, 0])
    torch.testing.assert_close(mirrored[0, :, 1], points_P2[list(MIRRORED_LANDMARKS), 1])


def test_only_the_mirrored_faces_of_a_batch_swap_their_landmarks():
    points_NP2 = torch.rand(400, 68, 2, generator=seeded(1))
    pictures = torch.linspace(-1, 1, 8).expand(400, 1, 8, 8)
    changed, moved = augment_with_points(pictures, points_NP2, replace(NOTHING, flip=0.5), seeded())
    mirrored = changed[:, 0, 0, 0] > 0
    assert 150 < mirrored.sum() < 250
    torch.testing.assert_close(moved[~mirrored], points_NP2[~mirrored])
    assert (moved[mirrored, 8, 0] - 1 + points_NP2[mirrored, 8, 0]).abs().max() < 1e-5


def test_the_pixels_are_those_of_plain_augmentation():
    x_NCHW = torch.rand(6, 3, 40, 40, generator=seeded(1)) * 2 - 1
    ranges = Augmentation(shear=0.2, erase=0.5)
    pixels, _ = augment_with_points(x_NCHW, torch.rand(6, 68, 2), ranges, seeded(3))
    assert torch.equal(pixels, augment(x_NCHW, ranges, seeded(3)))


def test_new_changes_draw_after_the_old_ones_and_only_when_asked_for():
    x_NCHW = torch.rand(6, 1, 40, 40, generator=seeded(1)) * 2 - 1
    old, unused = seeded(), seeded()
    plain = augment(x_NCHW, Augmentation(), old)
    assert torch.equal(plain, augment(x_NCHW, Augmentation(erase_area=0.9), unused))
    assert torch.equal(old.get_state(), unused.get_state())
    fully = augment(x_NCHW, Augmentation(erase=1e-9), seeded())
    assert torch.equal(plain, fully)
    barely = augment(x_NCHW, Augmentation(shear=1e-9), seeded())
    torch.testing.assert_close(plain, barely, rtol=0, atol=1e-4)


def test_the_random_stream_is_that_of_the_models_already_trained():
    """These figures were taken before shear and erasing existed."""
    x_NCHW = torch.linspace(-1, 1, 2 * 48 * 48).view(2, 1, 48, 48)
    generator = seeded(7)
    changed = augment(x_NCHW, Augmentation(), generator)
    picked = changed[:, 0, ::15, 24].flatten()
    first = [-1.0, -0.820287, -0.444205, -0.068123]
    second = [-0.067405, 0.255529, 0.578464, 0.880893]
    torch.testing.assert_close(picked, torch.tensor(first + second), rtol=0, atol=1e-5)
    assert float(torch.rand(1, generator=generator)) == pytest.approx(0.44509017, abs=1e-7)


def test_shear_slides_rows_apart_and_keeps_their_height():
    ramp = torch.linspace(-1, 1, WIDTH).expand(200, 1, HEIGHT, WIDTH)
    step = float(ramp[0, 0, 0, 1] - ramp[0, 0, 0, 0])
    changed = augment(ramp, replace(NOTHING, shear=0.3), seeded())
    slid_px = (changed[:, 0, 47, 48] - changed[:, 0, 16, 48]) / step
    assert 0.9 * 0.3 < float(slid_px.abs().max()) / (31 / HEIGHT * WIDTH) <= 0.3001
    rows = torch.linspace(-1, 1, HEIGHT).view(-1, 1).expand(200, 1, HEIGHT, WIDTH)
    torch.testing.assert_close(
        augment(rows, replace(NOTHING, shear=0.3), seeded()), rows, rtol=0, atol=1e-5
    )


def holes(erase, erase_area, shape=(400, 1, HEIGHT, WIDTH)):
    """Erases pictures of noise; True where a pixel changed."""
    noise = torch.rand(shape, generator=seeded(1)) * 2 - 1
    still = augment(noise, NOTHING, seeded())
    changed = augment(noise, replace(NOTHING, erase=erase, erase_area=erase_area), seeded())
    return (changed != still).any(dim=1), changed


def test_erasing_happens_as_often_as_it_should():
    erased, _ = holes(0.25, 0.2)
    assert 70 < int(erased.flatten(1).any(dim=1).sum()) < 130
    assert holes(1.0, 0.2)[0].flatten(1).any(dim=1).all()


def test_what_is_erased_is_a_rectangle_of_the_images_mean_within_its_bounds():
    erased, changed = holes(1.0, 0.2)
    for hole, picture in zip(erased, changed, strict=True):
        height, width = int(hole.any(dim=1).sum()), int(hole.any(dim=0).sum())
        assert int(hole.sum()) == height * width
        area, sides = height * width / hole.numel(), (width / WIDTH) / (height / HEIGHT)
        assert 0.01 < area < 0.23
        assert 0.4 < sides < 2.5
        filling = picture[0][hole]
        assert filling.unique().numel() == 1
        assert abs(float(filling[0])) < 0.1
    areas = erased.float().mean((1, 2))
    assert areas.max() > 0.18
    assert areas.min() < 0.03


def test_erased_rectangles_reach_all_sides():
    erased, _ = holes(1.0, 0.2)
    often = erased.float().mean(0)
    assert often[0].max() > 0
    assert often[-1].max() > 0
    assert often[:, 0].max() > 0
    assert often[:, -1].max() > 0
