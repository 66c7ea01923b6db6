"""Faces turned upright, with their eyes where the dataset has them."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.preprocess import INTERPOLATIONS, Preprocessing, align_eyes, similarity

PLAIN = Preprocessing(crop_scale=1.0)
RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (60, 80), np.uint8)
COLOUR = RNG.integers(0, 256, (60, 80, 3), np.uint8)
COORDINATES = st.floats(-500, 500)
SIDES = st.floats(0, 500)
ALIGNED = Preprocessing(crop_scale=1.0, eyes=(0.4, 0.3))


def spot(shape, x_px, y_px, sigma):
    """A blurred dot, with the centre of the first pixel at (0.5, 0.5)."""
    y, x = np.indices(shape) + 0.5
    return 250 * np.exp(-((x - x_px) ** 2 + (y - y_px) ** 2) / (2 * sigma**2))


def frame_with_eyes(right_px, left_px, shape=(240, 320)):
    """Black, with the right eye as a spot of blue and the left eye as one of red."""
    sigma = np.hypot(*np.subtract(left_px, right_px)) / 12
    frame = np.zeros((*shape, 3), np.uint8)
    frame[..., 0], frame[..., 2] = spot(shape, *right_px, sigma), spot(shape, *left_px, sigma)
    return frame


def centroid(channel):
    y, x = np.indices(channel.shape) + 0.5
    mass = channel.astype(np.float64)
    return np.array([(x * mass).sum(), (y * mass).sum()]) / mass.sum()


@given(
    angle=st.floats(-np.pi, np.pi),
    apart_px=st.floats(24, 90),
    x=st.floats(140, 180),
    y=st.floats(110, 130),
    place=st.tuples(st.floats(0.2, 0.6), st.floats(0.15, 0.4)),
    interpolation=st.sampled_from(INTERPOLATIONS),
    size=st.sampled_from([48, 97, 160]),
)
@settings(deadline=None, max_examples=100)
def test_the_eyes_of_any_face_come_level_to_their_place(
    angle, apart_px, x, y, place, interpolation, size
):
    half_px = np.array([np.cos(angle), np.sin(angle)]) * apart_px / 2
    eyes = (tuple(np.subtract((x, y), half_px)), tuple(np.add((x, y), half_px)))
    preprocessing = Preprocessing(
        height_px=size, width_px=size, color="rgb", crop_scale=1.0,
        interpolation=interpolation, eyes=place,
    )  # fmt: skip
    side = apart_px / (1 - 2 * place[1])
    box = (x - side / 2, y - side / 2, side, side)
    pixels = preprocessing.face_pixels(frame_with_eyes(*eyes), box, eyes)
    height, inset = place
    for channel, fraction in ((2, inset), (0, 1 - inset)):
        expected = np.array([fraction, height]) * size
        assert np.abs(centroid(pixels[..., channel]) - expected).max() < 1


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


def test_pixels_from_outside_the_frame_repeat_its_border():
    frame = np.full((20, 20), 77, np.uint8)
    assert (align_eyes(frame, ((2.0, 2.0), (18.0, 2.0)), (0.4, 0.3), 48) == 77).all()


@pytest.mark.parametrize(
    ("apart_px", "side_px"), [(40, 100), (76, 190), (80, 100), (200, 100), (236, 98), (240, 100)]
)
def test_alignment_is_at_the_frames_scale_or_at_a_whole_part_of_it(apart_px, side_px):
    frame = np.zeros((10, 10, 3), np.uint8)
    eyes = ((5.0, 5.0), (5.0, 5.0 + apart_px))
    assert align_eyes(frame, eyes, (0.4, 0.3), 48).shape == (side_px, side_px, 3)


def test_an_upright_face_at_its_place_is_cut_out_as_by_its_box():
    frame = cv2.GaussianBlur(COLOUR, (5, 5), 0)
    eyes = ((10 + 0.3 * 40, 5 + 0.4 * 40), (10 + 0.7 * 40, 5 + 0.4 * 40))
    aligned = ALIGNED.face_pixels(frame, (10, 5, 40, 40), eyes)
    assert np.array_equal(aligned, PLAIN.face_pixels(frame, (10, 5, 40, 40)))


@pytest.mark.parametrize(
    "eyes",
    [
        None,
        ((20.0, 20.0), (20.0, 20.0)),
        ((20.0, 20.0), (22.0, 20.0)),
        ((0.0, 20.0), (79.0, 20.0)),
        ((20.0, 20.0), (float("nan"), 20.0)),
        ((20.0, 20.0), (float("inf"), 20.0)),
    ],
    ids=str,
)
def test_without_eyes_that_can_be_trusted_the_box_decides(eyes):
    box = (10, 5, 40, 40)
    assert np.array_equal(ALIGNED.face_pixels(COLOUR, box, eyes), PLAIN.face_pixels(COLOUR, box))


def test_eyes_are_ignored_by_a_network_that_wants_no_alignment():
    box, eyes = (10, 5, 40, 40), ((20.0, 20.0), (36.0, 30.0))
    assert np.array_equal(PLAIN.face_pixels(COLOUR, box, eyes), PLAIN.face_pixels(COLOUR, box))
    assert not np.array_equal(
        ALIGNED.face_pixels(COLOUR, box, eyes), PLAIN.fit(COLOUR[5:45, 10:50])
    )


@given(
    box=st.tuples(COORDINATES, COORDINATES, SIDES, SIDES),
    eyes=st.tuples(*[st.tuples(COORDINATES, COORDINATES)] * 2),
    frame=st.sampled_from([GRAY, COLOUR]),
)
@settings(deadline=None, max_examples=150)
def test_any_eyes_give_pixels_of_the_networks_size(box, eyes, frame):
    assert ALIGNED.face_pixels(frame, box, eyes).shape == (48, 48)
