import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.data.scenes import Photo
from edge_fer.data.scenes_warp import (
    Move,
    face_sizes_px,
    moved_boxes,
    moved_faces,
    moved_image,
    moved_points,
    visible_shares,
)

moves = st.builds(
    Move,
    source=st.tuples(st.floats(0, 100), st.floats(0, 100)),
    target=st.tuples(st.floats(0, 100), st.floats(0, 100)),
    scale=st.floats(0.1, 4),
    angle_deg=st.floats(-180, 180),
    mirrored=st.booleans(),
)


@given(moves)
def test_the_source_goes_to_the_target(move):
    np.testing.assert_allclose(moved_points(np.array(move.source), move), move.target, atol=1e-9)


@given(moves, st.floats(1, 50), st.floats(0, 6.3))
def test_distances_grow_by_the_scale(move, distance, turn):
    other = np.array(move.source) + distance * np.array([np.cos(turn), np.sin(turn)])
    moved = moved_points(other, move) - move.target
    assert np.hypot(*moved) == pytest.approx(distance * move.scale)


@pytest.mark.parametrize("scale", [0.3, 0.9, 2.0])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("angle_deg", [0.0, 30.0])
def test_pixels_go_where_points_go(scale, mirrored, angle_deg):
    image = np.zeros((80, 120), np.uint8)
    image[30:40, 50:62] = 255
    move = Move(
        source=(60, 40), target=(50, 45), scale=scale, angle_deg=angle_deg, mirrored=mirrored
    )
    result = moved_image(image, move, (100, 90), border=cv2.BORDER_CONSTANT).astype(float)
    rows, columns = np.indices(result.shape) + 0.5
    middle = [(result * columns).sum() / result.sum(), (result * rows).sum() / result.sum()]
    np.testing.assert_allclose(middle, moved_points(np.array([56.0, 35.0]), move), atol=0.3)
    assert result.sum() / 255 == pytest.approx(120 * scale**2, rel=0.1)


def test_only_a_part_of_a_large_picture_is_the_same_part():
    image = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    move = Move(source=(200, 150), target=(20, 20), scale=0.5)
    part = moved_image(image, move, (40, 40), border=cv2.BORDER_REPLICATE)
    whole = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert np.abs(part.astype(int) - whole[55:95, 80:120]).max() <= 1


def test_a_mirror_changes_right_and_left():
    photo = Photo(
        name="p",
        image_HW=np.zeros((10, 10), np.uint8),
        boxes_N4=np.array([[1.0, 2, 4, 6]]),
        points_N52=np.arange(10.0).reshape(1, 5, 2),
    )
    move = Move(source=(5, 5), target=(5, 5), scale=1, mirrored=True)
    moved = moved_faces(photo, move, photo.image_HW)
    assert moved.boxes_N4.tolist() == [[5, 2, 4, 6]]
    assert moved.points_N52[0, 0].tolist() == [10 - photo.points_N52[0, 1, 0], 3]
    assert moved.points_N52[0, 2].tolist() == [10 - photo.points_N52[0, 2, 0], 5]


def test_a_turned_box_holds_the_turned_ellipse():
    box = np.array([[10.0, 10, 20, 40]])
    quarter = moved_boxes(box, Move(source=(20, 30), target=(20, 30), scale=1, angle_deg=90))
    np.testing.assert_allclose(quarter, [[0, 20, 40, 20]])
    eighth = moved_boxes(box, Move(source=(20, 30), target=(20, 30), scale=1, angle_deg=45))
    np.testing.assert_allclose(eighth[0, 2:], np.sqrt((20**2 + 40**2) / 2))


def test_visible_shares_and_sizes():
    boxes = np.array([[-5.0, 0, 10, 10], [90, 90, 40, 10], [200, 0, 10, 10]])
    assert visible_shares(boxes, 100, 100).tolist() == [0.5, 0.25, 0]
    assert face_sizes_px(np.array([[0.0, 0, 4, 9]])).tolist() == [6]
