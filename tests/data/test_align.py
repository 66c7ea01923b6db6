from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.data.align import (
    PIPELINES,
    FacePipeline,
    align_eyes,
    eye_centres,
    face_crop,
    prepare_photo,
    similarity,
)
from edge_fer.errors import DataError

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (60, 80), np.uint8)
COLOUR = RNG.integers(0, 256, (60, 80, 3), np.uint8)
PLACES = st.tuples(st.floats(0.2, 0.6), st.floats(0.15, 0.4))


def spot(shape, x_px, y_px, sigma):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return 250 * np.exp(-((x - x_px) ** 2 + (y - y_px) ** 2) / (2 * sigma**2))


def photo_with_eyes(left_px, right_px, shape=(240, 320)):
    """Black, with the left eye as a spot of blue and the right eye as one of red."""
    sigma = np.hypot(*np.subtract(right_px, left_px)) / 12
    photo = np.zeros((*shape, 3), np.uint8)
    photo[..., 0] = spot(shape, *left_px, sigma)
    photo[..., 2] = spot(shape, *right_px, sigma)
    eyes_22 = (np.array([left_px, right_px]) + 0.5) / (shape[1], shape[0])
    return photo, eyes_22


def centroid(channel):
    y, x = np.indices(channel.shape)
    mass = channel.astype(np.float64)
    return np.array([(x * mass).sum(), (y * mass).sum()]) / mass.sum()


@given(
    angle=st.floats(-np.pi, np.pi),
    apart_px=st.floats(24, 90),
    x=st.floats(140, 180),
    y=st.floats(110, 130),
    place=PLACES,
    interpolation=st.sampled_from(["bicubic", "area", "bilinear"]),
    size_px=st.sampled_from([0, 48, 97]),
)
@settings(deadline=None, max_examples=60)
def test_the_eyes_come_level_to_their_place(angle, apart_px, x, y, place, interpolation, size_px):
    half_px = np.array([np.cos(angle), np.sin(angle)]) * apart_px / 2
    middle_px = np.array([x, y])
    photo, eyes_22 = photo_with_eyes(middle_px - half_px, middle_px + half_px)
    pipeline = FacePipeline(size_px=size_px, color="rgb", interpolation=interpolation, eyes=place)
    crop = face_crop(photo, pipeline, eyes_22=eyes_22)
    side = crop.shape[0]
    assert crop.shape == (size_px or side, size_px or side, 3)
    height, inset = place
    for channel, fraction in ((2, inset), (0, 1 - inset)):
        expected = np.array([fraction, height]) * side - 0.5
        assert np.abs(centroid(crop[..., channel]) - expected).max() < 0.5


@given(
    points=st.lists(st.floats(-100, 100), min_size=4, max_size=4),
    angle=st.floats(-3, 3),
    scale=st.floats(0.1, 10),
)
@settings(deadline=None, max_examples=60)
def test_a_similarity_takes_two_points_to_two_and_keeps_shapes(points, angle, scale):
    sources = np.array([[0.0, 0.0], [30.0, 20.0]]) + points[:2]
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    targets = sources @ turn.T + points[2:]
    matrix = similarity(sources, targets)
    np.testing.assert_allclose(matrix, np.column_stack([turn, points[2:]]), atol=1e-6)


def test_eye_centres_are_the_means_of_six_points_each():
    landmarks = np.zeros((68, 2))
    landmarks[36:42] = (0.3, 0.4)
    landmarks[42:48] = (0.7, 0.4)
    landmarks[36], landmarks[39] = (0.2, 0.4), (0.4, 0.4)
    np.testing.assert_allclose(eye_centres(landmarks), [[0.3, 0.4], [0.7, 0.4]])


def test_alignment_is_at_the_scale_of_the_photo():
    photo, eyes_22 = photo_with_eyes((100, 100), (150, 100))
    assert align_eyes(photo, eyes_22, (0.4, 0.25)).shape == (100, 100, 3)


def test_pixels_from_outside_the_photo_repeat_its_border():
    photo = np.full((20, 20), 77, np.uint8)
    eyes_22 = np.array([[0.1, 0.1], [0.9, 0.3]])
    assert (align_eyes(photo, eyes_22, (0.4, 0.3)) == 77).all()
    plain = FacePipeline()
    assert (face_crop(photo, plain, box=(-15.0, 8.0, 30.0, 30.0)) == 77).all()


def test_a_crop_without_margin_is_the_box_or_the_square_about_it():
    stretched = FacePipeline(square=False)
    assert np.array_equal(face_crop(GRAY, stretched, box=(10, 5, 20, 30)), GRAY[5:35, 10:30])
    assert np.array_equal(face_crop(GRAY, FacePipeline(), box=(10, 5, 20, 30)), GRAY[5:35, 5:35])
    assert np.array_equal(face_crop(GRAY, stretched), GRAY)


def test_a_margin_widens_the_crop_about_its_centre():
    wide = FacePipeline(margin=1.5)
    assert np.array_equal(face_crop(GRAY, wide, box=(18, 14, 32, 32)), GRAY[6:54, 10:58])


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("image", [GRAY, COLOUR], ids=["gray", "colour"])
def test_every_pipeline_makes_its_papers_input_of_gray_and_colour(name, image):
    pipeline = PIPELINES[name]
    photo = prepare_photo(image, pipeline)
    eyes_22 = np.array([[0.35, 0.4], [0.65, 0.45]])
    crop = face_crop(photo, pipeline, box=(20, 10, 40, 40), eyes_22=eyes_22)
    side = {"arch": 48, "emonas": 120, "moeffnet": 48, "patt-lite": 224, "part-ensemble": 160}[name]
    assert crop.dtype == np.uint8
    assert crop.shape == ((side, side) if name == "arch" else (side, side, 3))


def test_part_ensemble_equalizes_its_gray_photo_at_300_before_detection():
    photo = prepare_photo(COLOUR, PIPELINES["part-ensemble"])
    gray = cv2.resize(cv2.cvtColor(COLOUR, cv2.COLOR_BGR2GRAY), (300, 300))
    expected = cv2.createCLAHE(2.0, (8, 8)).apply(gray)
    assert photo.shape == (300, 300, 3)
    assert all(np.array_equal(photo[..., channel], expected) for channel in range(3))


def test_moeffnet_resizes_bicubically():
    box = (0.0, 0.0, 60.0, 60.0)
    unaligned = replace(PIPELINES["moeffnet"], eyes=None)
    expected = cv2.resize(GRAY[:, :60], (48, 48), interpolation=cv2.INTER_CUBIC)
    crop = face_crop(prepare_photo(GRAY, unaligned), unaligned, box=box)
    assert np.array_equal(crop[..., 1], expected)


def test_a_colour_crop_is_rgb():
    crop = face_crop(COLOUR, FacePipeline(color="rgb", square=False))
    assert np.array_equal(crop, COLOUR[..., ::-1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"color": "bgr"}, "'bgr'; known: gray"),
        ({"interpolation": "nearest"}, "'nearest'; known: bilinear"),
        ({"color": "rgb", "clahe_clip": 2.0}, "CLAHE is for gray"),
        ({"margin": 0.0}, "margin"),
        ({"eyes": (0.4, 0.5)}, "not apart"),
    ],
)
def test_a_pipeline_that_makes_no_sense_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        FacePipeline(**values)


def test_alignment_needs_two_different_eyes():
    aligned = FacePipeline(eyes=(0.4, 0.3))
    with pytest.raises(DataError, match="needs the centres"):
        face_crop(GRAY, aligned, box=(0, 0, 10, 10))
    with pytest.raises(DataError, match="same place"):
        face_crop(GRAY, aligned, eyes_22=np.full((2, 2), 0.5))
