import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.runtime.faces.follow import Follower, Motion
from edge_fer.runtime.faces.shrink import FOLLOW_PX, Shrinker
from edge_fer.runtime.faces.tracking import overlap
from tests.runtime.scenes import BACKGROUND, scene, texture

BOX = (100.0, 80.0, 60.0, 70.0)


def follow(before, after, boxes, longest_px=320):
    shrinker, follower = Shrinker(longest_px), Follower()
    assert follower.follow(shrinker(before), boxes) == [None] * len(boxes)
    return follower.follow(shrinker(after), boxes)


@given(
    shift=st.tuples(st.floats(-10, 10), st.floats(-10, 10)),
    scale=st.floats(0.93, 1.07),
)
@settings(deadline=None, max_examples=25)
def test_a_face_is_found_where_it_went_and_as_large_as_it_became(shift, scale):
    x, y, w, h = BOX
    there = (x + shift[0], y + shift[1], w * scale, h * scale)
    (motion,) = follow(scene([BOX]), scene([there]), [BOX])
    assert overlap(motion.box(BOX), there) > 0.93


def test_the_motion_is_in_pixels_of_the_frame_whatever_the_size_of_the_small_picture():
    there = (106.0, 84.0, 60.0, 70.0)
    large = [np.kron(scene([box]), np.ones((4, 4, 1), np.uint8)) for box in (BOX, there)]
    assert max(large[0].shape) > FOLLOW_PX
    box = tuple(4 * value for value in BOX)
    (motion,) = follow(*large, [box])
    assert motion.box(box) == pytest.approx([4 * value for value in there], abs=4)


def test_every_face_has_a_motion_of_its_own():
    before, after = [(40, 40, 50, 50), (200, 120, 50, 50)], [(46, 40, 50, 50), (200, 112, 50, 50)]
    motions = follow(scene(before), scene(after), before)
    for motion, was, now in zip(motions, before, after, strict=True):
        assert motion.box(was) == pytest.approx(now, abs=1)


def test_a_view_that_begins_elsewhere_gives_motions_of_the_whole_frame():
    shrinker, follower = Shrinker(320), Follower()
    for x in (100.0, 105.0):
        small = shrinker(scene([(x, 80, 60, 70)])[40:, 60:], (60, 40))
        (motion,) = follower.follow(small, [BOX])
    assert motion.box(BOX) == pytest.approx((105, 80, 60, 70), abs=1)


def test_a_face_that_vanished_has_no_motion():
    other = np.repeat(texture(5, *BACKGROUND.shape)[:, :, None], 3, 2)
    assert follow(scene([BOX]), other, [BOX]) == [None]


@pytest.mark.parametrize("value", [0, 255])
def test_an_even_picture_has_no_motion(value):
    even = np.full((240, 320, 3), value, np.uint8)
    assert follow(scene([BOX]), even, [BOX]) == [None]


def test_a_picture_of_another_size_has_no_motion():
    assert follow(scene([BOX]), scene([BOX])[:200], [BOX]) == [None]


def test_nothing_is_remembered_after_forget():
    shrinker, follower = Shrinker(320), Follower()
    follower.follow(shrinker(scene([BOX])), [BOX])
    follower.forget()
    assert follower.follow(shrinker(scene([BOX])), [BOX]) == [None]


@pytest.mark.parametrize("box", [(-500, -500, 50, 50), (310, 230, 400, 400), (0, 0, 1e-3, 1e-3)])
def test_boxes_over_or_beyond_the_border_are_no_trouble(box):
    follow(scene([BOX]), scene([BOX]), [box])


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 400), (400, 1), (9, 9, 3)])
def test_tiny_pictures_are_no_trouble(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    follow(image, image, [(0.0, 0.0, 5.0, 5.0)])


def test_landmarks_turn_about_the_centre_and_the_box_stays_upright():
    motion = Motion(50 + 50j, 60 + 50j, 1j, 1.0)
    assert motion.points([(60.0, 50.0)]) == ((60.0, 60.0),)
    assert motion.box((40.0, 40.0, 20.0, 20.0)) == pytest.approx((50, 40, 20, 20))


@pytest.mark.parametrize("shape", [(480, 640, 3), (480, 640), (270, 480, 3), (1080, 1920, 3)])
def test_a_small_picture_has_its_size_and_keeps_places(shape):
    image = np.zeros(shape, np.uint8)
    height, width = shape[:2]
    image[height // 2 :, width // 4 :] = 200
    small = Shrinker(320)(image)
    assert max(small.image.shape[:2]) == max(small.gray.shape) == 320
    rows, columns = np.nonzero(small.gray > 100)
    assert rows.min() == pytest.approx(height / 2 * small.scale, abs=1)
    assert columns.min() == pytest.approx(width / 4 * small.scale, abs=1)
    assert small.image.ndim == image.ndim


@pytest.mark.parametrize("shape", [(200, 300), (200, 300, 3), (480, 640)])
def test_the_picture_before_outlives_the_next_one_whoever_owns_the_frame(shape):
    shrinker, image = Shrinker(320), np.full(shape, 10, np.uint8)
    first = shrinker(image)
    image[:] = 90
    second = shrinker(image)
    assert (int(first.gray.max()), int(second.gray.min())) == (10, 90)
