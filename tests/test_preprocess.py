import json
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.bundle import Bundle
from edge_fer.errors import ModelError
from edge_fer.preprocess import (
    COLORS,
    FER2013_EYES,
    INTERPOLATIONS,
    Preprocessing,
    fit_all,
    normalise,
    to_tensor_shape,
)

OLD_KEYS = ("height_px", "width_px", "color", "crop_scale")
#: Each newer field, away from what it is by default.
NEW_FIELDS = [
    {"interpolation": "bilinear"},
    {"interpolation": "bicubic"},
    {"interpolation": "area"},
    {"clahe_clip": 2.0},
    {"clahe_clip": 3.0, "clahe_tiles": 4},
    {"eyes": FER2013_EYES},
]
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
    color=st.sampled_from([color for color in COLORS if color != "flow"]),
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
    [
        {"height_px": 0},
        {"height_px": 48.0},
        {"width_px": -1},
        {"width_px": True},
        {"crop_scale": 0},
        {"crop_scale": "1"},
        {"crop_scale": float("nan")},
        {"crop_scale": float("inf")},
        {"color": "bgr"},
        {"color": None},
        {"interpolation": "nearest"},
        {"interpolation": ["area"]},
        {"clahe_clip": -1.0},
        {"clahe_clip": True},
        {"clahe_clip": 2.0, "color": "rgb"},
        {"clahe_tiles": 0},
        {"clahe_tiles": 8.0},
        {"eyes": (0.4, 0.5)},
        {"eyes": (0.0, 0.3)},
        {"eyes": (0.4, 0.3, 0.2)},
        {"eyes": ("0.4", 0.3)},
        {"eyes": 0.4},
        {"eyes": {"height": 0.4}},
    ],
    ids=str,
)
def test_impossible_values_are_refused(changes):
    with pytest.raises(ModelError):
        Preprocessing(**changes)
    with pytest.raises(ModelError):
        Preprocessing.from_dict(Preprocessing().to_dict() | changes)


def test_documents_from_before_the_newer_keys_mean_what_they_meant(shipped_bundle):
    old = {key: Preprocessing().to_dict()[key] for key in OLD_KEYS}
    assert Preprocessing.from_dict(old) == Preprocessing()
    assert Bundle.load(shipped_bundle).manifest.preprocessing == Preprocessing()


@given(
    st.builds(
        Preprocessing,
        height_px=st.integers(1, 300),
        width_px=st.integers(1, 300),
        color=st.sampled_from(["gray", "gray3"]),
        crop_scale=st.floats(0.1, 3),
        interpolation=st.sampled_from(INTERPOLATIONS),
        clahe_clip=st.floats(0, 10) | st.integers(0, 4),
        clahe_tiles=st.integers(1, 16),
        eyes=st.none() | st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.49)),
    )
)
def test_any_preprocessing_survives_a_round_trip_through_json(preprocessing):
    document = preprocessing.to_dict()
    assert json.loads(json.dumps(document)) == document
    assert Preprocessing.from_dict(document) == preprocessing


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=6,
)


@given(
    changes=st.dictionaries(
        st.sampled_from([*Preprocessing().to_dict(), "mean"]), JSON_VALUES, max_size=3
    ),
    drop=st.sets(st.sampled_from(list(Preprocessing().to_dict())), max_size=2),
)
@settings(max_examples=300)
def test_any_document_is_read_or_refused_and_never_half_understood(changes, drop):
    document = Preprocessing().to_dict() | changes
    document = {key: value for key, value in document.items() if key not in drop}
    try:
        read = Preprocessing.from_dict(document)
    except ModelError:
        return
    assert read.to_dict() == Preprocessing().to_dict() | document


@pytest.mark.parametrize("document", [None, 3, "text", ["height_px"], []])
def test_what_is_no_document_is_refused(document):
    with pytest.raises(ModelError, match="preprocessing has"):
        Preprocessing.from_dict(document)


def test_unknown_and_missing_keys_are_refused():
    values = Preprocessing().to_dict()
    with pytest.raises(ModelError, match="mean"):
        Preprocessing.from_dict(values | {"mean": 3})
    del values["color"]
    with pytest.raises(ModelError, match="color"):
        Preprocessing.from_dict(values)


@pytest.mark.parametrize("side", [30, 60, 95])
@pytest.mark.parametrize(
    ("interpolation", "flag"),
    [("bilinear", cv2.INTER_LINEAR), ("bicubic", cv2.INTER_CUBIC), ("area", cv2.INTER_AREA)],
)
def test_a_crop_is_resized_as_asked(side, interpolation, flag):
    crop = np.random.default_rng(1).integers(0, 256, (side, side), np.uint8)
    fitted = Preprocessing(interpolation=interpolation).fit(crop)
    assert np.array_equal(fitted, cv2.resize(crop, (48, 48), interpolation=flag))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("side", [96, 144, 200, 480])
def test_no_method_skips_pixels_of_a_large_crop(interpolation, side):
    checker = (np.indices((side, side)).sum(0) % 2 * 200).astype(np.uint8)
    fitted = Preprocessing(interpolation=interpolation).fit(checker)
    assert np.abs(fitted.astype(int) - 100).max() <= 12


def test_the_face_is_equalised_at_the_networks_size():
    crop = cv2.GaussianBlur(
        np.random.default_rng(1).integers(0, 256, (90, 90), np.uint8), (9, 9), 0
    )
    plain = Preprocessing(height_px=64, width_px=64)
    equalised = Preprocessing(height_px=64, width_px=64, clahe_clip=2.0, clahe_tiles=4)
    expected = cv2.createCLAHE(2.0, (4, 4)).apply(plain.fit(crop))
    assert np.array_equal(equalised.fit(crop), expected)
    assert expected.std() > 1.2 * plain.fit(crop).std()


def test_equalised_gray_is_repeated_and_colour_turned_gray_first():
    values = {"height_px": 64, "width_px": 64, "clahe_clip": 2.0}
    gray = Preprocessing(**values).fit(COLOUR)
    three = Preprocessing(**values, color="gray3").fit(COLOUR)
    assert all(np.array_equal(three[..., channel], gray) for channel in range(3))
    assert np.array_equal(
        Preprocessing(**values).fit(cv2.cvtColor(COLOUR, cv2.COLOR_BGR2GRAY)), gray
    )


@pytest.mark.parametrize("size", [1, 7, 8, 9, 48])
def test_any_size_can_be_equalised(size):
    fitted = Preprocessing(height_px=size, width_px=size, clahe_clip=2.0).fit(GRAY)
    assert fitted.shape == (size, size)


def test_small_and_large_crops_of_a_face_are_equalised_alike():
    """The reason for equalising last: at each crop's own size the two would differ more."""
    noise = np.random.default_rng(2).integers(0, 256, (12, 12), np.uint8)
    large = cv2.resize(noise, (200, 200), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(large, (48, 48), interpolation=cv2.INTER_AREA)
    plain = Preprocessing(height_px=160, width_px=160)
    after = Preprocessing(height_px=160, width_px=160, clahe_clip=2.0)
    before = cv2.createCLAHE(2.0, (8, 8))

    def difference(one, other):
        return np.abs(one.astype(float) - other).mean()

    at_own_size = difference(*(plain.fit(before.apply(crop)) for crop in (large, small)))
    assert difference(after.fit(large), after.fit(small)) < 0.7 * at_own_size


@pytest.mark.parametrize("changes", [{}, *NEW_FIELDS], ids=str)
@pytest.mark.parametrize("color", ["gray", "gray3"])
@pytest.mark.parametrize(("size", "side"), [(48, 48), (48, 100), (160, 48), (30, 48)])
def test_a_dataset_a_crop_and_a_frame_give_the_same_pixels(changes, color, size, side):
    preprocessing = Preprocessing(
        height_px=size, width_px=size, color=color, crop_scale=1.0, **changes
    )
    images = np.random.default_rng(3).integers(0, 256, (5, side, side), np.uint8)
    fitted = fit_all(images, preprocessing)
    assert fitted.shape == (5, *preprocessing.shape)
    for image, pixels in zip(images, fitted, strict=True):
        frame = cv2.cvtColor(np.pad(image, 20), cv2.COLOR_GRAY2BGR)
        assert np.array_equal(preprocessing.fit(image), pixels)
        assert np.array_equal(preprocessing.face_pixels(frame, (20, 20, side, side)), pixels)


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 700])
def test_every_image_of_a_dataset_is_fitted_in_its_place(count):
    images = np.random.default_rng(4).integers(0, 256, (count, 6, 6), np.uint8)
    tiny = Preprocessing(height_px=4, width_px=5)
    fitted = fit_all(images, tiny)
    assert fitted.shape == (count, 4, 5)
    assert all(np.array_equal(tiny.fit(image), f) for image, f in zip(images, fitted, strict=True))


def test_fitting_copies_and_needs_no_opencv_where_nothing_changes(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    images = np.random.default_rng(5).integers(0, 256, (3, 48, 48), np.uint8)
    fitted = fit_all(images, PLAIN)
    assert np.array_equal(fitted, images)
    assert not np.shares_memory(fitted, images)


def test_flow_keeps_its_channels_and_what_is_no_flow_is_refused():
    flow = np.random.default_rng(0).integers(0, 256, (28, 28, 3)).astype(np.uint8)
    preprocessing = Preprocessing(height_px=28, width_px=28, color="flow")
    assert preprocessing.shape == (28, 28, 3)
    assert np.array_equal(preprocessing.fit(flow), flow)
    half = replace(preprocessing, height_px=14, width_px=14).fit(flow)
    means = flow.reshape(14, 2, 14, 2, 3).mean((1, 3))
    assert np.abs(half - means).max() <= 1
    with pytest.raises(ModelError, match="not gray faces"):
        preprocessing.fit(flow[..., 0])
    with pytest.raises(ModelError, match="not faces"):
        preprocessing.face_pixels(flow, (0, 0, 28, 28))
    with pytest.raises(ModelError, match="CLAHE"):
        replace(preprocessing, clahe_clip=2.0)
