import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.runtime.tracking import FORGET_AFTER_FRAMES, MIN_OVERLAP, Identities, overlap

BOXES = st.tuples(*[st.integers(-200, 200)] * 2, *[st.integers(1, 300)] * 2)
LEFT, RIGHT = (0.0, 0.0, 50.0, 50.0), (200.0, 0.0, 50.0, 50.0)


@given(a=BOXES, b=BOXES)
@settings(deadline=None, max_examples=200)
def test_overlap_is_symmetric_and_within_0_and_1(a, b):
    assert 0 <= overlap(a, b) <= 1
    assert overlap(a, b) == overlap(b, a)


@given(a=BOXES)
@settings(deadline=None, max_examples=50)
def test_a_box_overlaps_itself_wholly(a):
    assert overlap(a, a) == 1


@given(a=BOXES, b=BOXES, shift=st.tuples(st.integers(-50, 50), st.integers(-50, 50)))
@settings(deadline=None, max_examples=50)
def test_overlap_does_not_depend_on_where_the_boxes_are(a, b, shift):
    moved = [(x + shift[0], y + shift[1], w, h) for x, y, w, h in (a, b)]
    assert overlap(*moved) == overlap(a, b)


def test_overlap_agrees_with_hand_computed_cases():
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert overlap((0, 0, 10, 10), (2, 2, 5, 5)) == pytest.approx(25 / 100)
    assert overlap((0, 0, 10, 10), (10, 0, 10, 10)) == 0


def test_a_moving_face_keeps_its_number():
    identities = Identities()
    numbers = {identities.assign([(7.0 * step, 3.0 * step, 50, 50)])[0] for step in range(40)}
    assert numbers == {0}


def test_a_face_that_jumps_away_is_a_new_one():
    identities = Identities()
    assert identities.assign([LEFT]) == [0]
    assert identities.assign([RIGHT]) == [1]


def test_an_overlap_at_the_threshold_still_continues_a_face():
    width = 50 * (1 - MIN_OVERLAP) / (1 + MIN_OVERLAP)
    for shift, number in ((width - 0.1, 0), (width + 0.1, 1)):
        identities = Identities()
        identities.assign([LEFT])
        assert identities.assign([(shift, 0.0, 50.0, 50.0)]) == [number]


def test_numbers_follow_the_faces_and_not_their_order():
    identities = Identities()
    assert identities.assign([LEFT, RIGHT]) == [0, 1]
    assert identities.assign([RIGHT, LEFT]) == [1, 0]


def test_a_second_face_gets_a_new_number():
    identities = Identities()
    identities.assign([LEFT])
    assert identities.assign([RIGHT, LEFT]) == [1, 0]


def test_the_box_that_overlaps_best_continues_the_face():
    identities = Identities()
    identities.assign([LEFT])
    assert identities.assign([(10.0, 0.0, 50.0, 50.0), (1.0, 0.0, 50.0, 50.0)]) == [1, 0]


@given(frames=st.lists(st.lists(BOXES, max_size=5), max_size=6))
@settings(deadline=None, max_examples=60)
def test_no_two_faces_of_a_frame_share_a_number(frames):
    identities = Identities()
    for boxes in frames:
        numbers = identities.assign(boxes)
        assert len(set(numbers)) == len(boxes)


@pytest.mark.parametrize(
    ("frames_away", "number"), [(1, 0), (FORGET_AFTER_FRAMES - 1, 0), (FORGET_AFTER_FRAMES, 1)]
)
def test_a_face_is_remembered_for_a_while_and_then_forgotten(frames_away, number):
    identities = Identities()
    identities.assign([LEFT])
    for _ in range(frames_away):
        assert identities.assign([]) == []
    assert identities.assign([LEFT]) == [number]


def test_a_forgotten_number_is_not_given_again():
    identities = Identities()
    identities.assign([LEFT, RIGHT])
    for _ in range(FORGET_AFTER_FRAMES):
        identities.assign([])
    assert identities.assign([RIGHT, LEFT]) == [2, 3]
