import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import ModelError
from edge_fer.preprocess import COLORS, Preprocessing, normalise, to_tensor_shape

PLAIN = Preprocessing(crop_scale=1.0)
RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (60, 80), np.uint8)
COLOUR = RNG.integers(0, 256, (60, 80, 3), np.uint8)
COORDINATES = st.floats(-500, 500)
SIDES = st.floats(0, 500)


def test_a_crop_of_the_networks_size_is_cut_out_unchanged():
    assert np.array_equal(PLAIN.face_pixels(GRAY, (10, 5, 48, 48)), GRAY[5:53, 10:58])


def test_a_crop_is_square_about_the_centre_of_the_box():
    tall = PLAIN.face_pixels(GRAY, (20, 6, 28, 48))
    assert np.array_equal(tall, GRAY[6:54, 10:58])


def test_crop_scale_widens_the_crop_about_its_centre():
    wide = Preprocessing(crop_scale=1.5)
    assert np.array_equal(wide.face_pixels(GRAY, (18, 14, 32, 32)), GRAY[6:54, 10:58])


def test_a_box_over_the_border_repeats_the_border():
    crop = PLAIN.face_pixels(GRAY, (-8, -4, 48, 48))
    padded = np.pad(GRAY, ((4, 0), (8, 0)), mode="edge")
    assert np.array_equal(crop, padded[:48, :48])
    crop = PLAIN.face_pixels(GRAY, (50, 20, 48, 48))
    padded = np.pad(GRAY, ((0, 8), (0, 18)), mode="edge")
    assert np.array_equal(crop, padded[20:68, 50:98])


@given(
    box=st.tuples(COORDINATES, COORDINATES, SIDES, SIDES),
    scale=st.floats(0.1, 3),
    frame=st.sampled_from([GRAY, COLOUR]),
    color=st.sampled_from(COLORS),
)
@settings(deadline=None, max_examples=150)
def test_any_box_gives_pixels_of_the_networks_size(box, scale, frame, color):
    preprocessing = Preprocessing(height_px=40, width_px=48, color=color, crop_scale=scale)
    pixels = preprocessing.face_pixels(frame, box)
    assert pixels.shape == ((40, 48) if color == "gray" else (40, 48, 3))
    assert pixels.dtype == np.uint8


@given(x=st.integers(-47, 79), y=st.integers(-47, 59))
@settings(deadline=None, max_examples=60)
def test_every_box_that_touches_the_frame_equals_a_crop_of_the_padded_frame(x, y):
    padded = np.pad(GRAY, 50, mode="edge")
    expected = padded[y + 50 : y + 98, x + 50 : x + 98]
    assert np.array_equal(PLAIN.face_pixels(GRAY, (x, y, 48, 48)), expected)


def test_a_colour_frame_is_turned_gray_with_its_channels_as_bgr():
    red = np.zeros((48, 48, 3), np.uint8)
    red[..., 2] = 255
    assert PLAIN.face_pixels(red, (0, 0, 48, 48)).tolist() == np.full((48, 48), 76).tolist()


def test_gray3_is_gray_three_times():
    pixels = Preprocessing(color="gray3", crop_scale=1).face_pixels(COLOUR, (3, 4, 48, 48))
    gray = PLAIN.face_pixels(COLOUR, (3, 4, 48, 48))
    assert all(np.array_equal(pixels[..., channel], gray) for channel in range(3))


def test_rgb_turns_the_channels_of_a_bgr_frame_around():
    rgb = Preprocessing(color="rgb", crop_scale=1)
    assert np.array_equal(rgb.face_pixels(COLOUR, (3, 4, 48, 48)), COLOUR[4:52, 3:51, ::-1])
    assert np.array_equal(rgb.fit(GRAY[:48, :48])[..., 2], GRAY[:48, :48])


def test_a_batch_of_one_is_laid_out_as_the_engine_wants_it():
    rgb = COLOUR[:48, :48]
    assert np.array_equal(to_tensor_shape(rgb, (1, 48, 48, 3))[0], rgb)
    assert np.array_equal(to_tensor_shape(rgb, (1, 3, 48, 48))[0, 1], rgb[..., 1])
    gray = GRAY[:40, :48]
    assert np.array_equal(to_tensor_shape(gray, (1, 40, 48, 1))[0, :, :, 0], gray)
    assert np.array_equal(to_tensor_shape(gray, (1, 1, 40, 48))[0, 0], gray)


def test_the_frame_is_left_as_it_was():
    before = COLOUR.copy()
    PLAIN.face_pixels(COLOUR, (-10, -10, 100, 100))
    assert np.array_equal(COLOUR, before)


def test_resizing_to_the_same_size_changes_nothing():
    image = GRAY[:48, :48]
    assert np.array_equal(PLAIN.fit(image), image)


def test_shrinking_averages_areas():
    checker = np.indices((96, 96)).sum(0) % 2 * 200
    assert np.unique(PLAIN.fit(checker.astype(np.uint8))).tolist() == [100]


def test_normalised_pixels_are_exact_128ths():
    pixels = np.array([[0, 1, 127], [128, 129, 255]], np.uint8)
    expected = np.array([[-1, -127 / 128, -1 / 128], [0, 1 / 128, 127 / 128]], np.float32)
    assert normalise(pixels).dtype == np.float32
    assert np.array_equal(normalise(pixels), expected)


def test_preprocessing_survives_a_round_trip_through_plain_values():
    preprocessing = Preprocessing(height_px=64, width_px=32, crop_scale=1.3)
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing


@pytest.mark.parametrize(
    "changes",
    [{"height_px": 0}, {"width_px": -1}, {"crop_scale": 0}, {"color": "bgr"}],
    ids=lambda changes: next(iter(changes)),
)
def test_impossible_values_are_refused(changes):
    with pytest.raises(ModelError):
        Preprocessing(**changes)


def test_unknown_and_missing_keys_are_refused():
    values = Preprocessing().to_dict()
    with pytest.raises(ModelError, match="mean"):
        Preprocessing.from_dict(values | {"mean": 3})
    del values["color"]
    with pytest.raises(ModelError, match="color"):
        Preprocessing.from_dict(values)
