import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.runtime.faces.detectors import Detection
from edge_fer.runtime.faces.follow import Follower
from edge_fer.runtime.faces.portrait import NOBODY, likeness, portrait
from edge_fer.runtime.faces.shrink import Shrinker
from edge_fer.runtime.faces.tracking import FORGET_S, KEEP_S, MIN_LIKENESS, People, overlap
from tests.runtime.scenes import found, scene, texture

BOXES = st.tuples(*[st.integers(-200, 200)] * 2, *[st.integers(1, 300)] * 2)
LEFT, RIGHT = (20.0, 60.0, 60.0, 60.0), (220.0, 60.0, 60.0, 60.0)


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


def test_a_portrait_is_like_itself_in_any_light_and_unlike_another_face():
    gray = scene([LEFT, RIGHT])[:, :, 0]
    left, right = portrait(gray, LEFT), portrait(gray, RIGHT)
    darker = portrait((gray * 0.5 + 20).astype(np.uint8), LEFT)
    assert likeness(left, darker) > 0.98
    assert likeness(left, right) < MIN_LIKENESS


def test_a_portrait_of_another_place_or_of_nothing_is_like_none():
    gray = texture(1, 240, 320)
    outside = portrait(gray, (900.0, 900.0, 50.0, 50.0))
    assert likeness(portrait(gray, LEFT), outside) == 0
    assert likeness(NOBODY, NOBODY) == 0


class Watch:
    """People who are detected, or followed, in one scene after the other."""

    def __init__(self):
        self.people, self.follower, self.shrinker = People(), Follower(), Shrinker(320)
        self.now_s = 0.0

    def see(self, image, detections=None, after_s=1 / 30):
        """Detections are given to people; without any, faces are only followed."""
        self.now_s += after_s
        small = self.shrinker(image)
        visible = [person.box for person in self.people.visible]
        doubt = self.people.follow(self.follower.follow(small, visible), small, self.now_s)
        if detections is not None:
            self.people.detected(detections, small, self.now_s)
        return doubt

    @property
    def ids(self):
        return {person.id: person for person in self.people.visible}


def seen(*boxes, seeds=None):
    return scene(boxes, seeds), found(*boxes)


def test_a_followed_face_keeps_its_number_and_says_that_it_was_followed():
    watch = Watch()
    watch.see(*seen(LEFT))
    for step in range(1, 30):
        box = (LEFT[0] + 5 * step, *LEFT[1:])
        assert not watch.see(scene([box]))
        (person,) = watch.people.visible
        assert (person.id, person.tracked) == (0, True)
        assert overlap(person.box, box) > 0.8
    watch.see(*seen(box))
    assert not watch.ids[0].tracked


def test_landmarks_move_with_the_face():
    watch = Watch()
    image, _ = seen(LEFT)
    watch.see(image, [Detection(LEFT, 0.9, ((40.0, 80.0), (60.0, 80.0)))])
    watch.see(scene([(26.0, 64.0, 60.0, 60.0)]))
    ((left, right),) = [person.landmarks for person in watch.people.visible]
    assert left == pytest.approx((46, 84), abs=1)
    assert right == pytest.approx((66, 84), abs=1)


def test_numbers_follow_the_faces_and_not_their_order():
    watch = Watch()
    image, detections = seen(LEFT, RIGHT)
    watch.see(image, detections)
    watch.see(image, detections[::-1])
    assert {n: person.box[0] for n, person in watch.ids.items()} == {0: LEFT[0], 1: RIGHT[0]}


def test_another_face_at_another_place_is_a_new_person():
    watch = Watch()
    watch.see(*seen(LEFT, seeds=[1]))
    watch.see(*seen(RIGHT, seeds=[2]))
    assert set(watch.ids) == {1}


@pytest.mark.parametrize("hidden_s", [0.5, 2.5])
def test_a_face_that_comes_back_nearby_is_the_same_person(hidden_s):
    watch = Watch()
    watch.see(*seen(LEFT))
    assert watch.see(scene([]), [])
    assert not watch.ids
    watch.see(scene([]), [], after_s=hidden_s)
    watch.see(*seen((60.0, 60.0, 62.0, 62.0), seeds=[0]))
    assert set(watch.ids) == {0}


def test_after_a_while_a_person_is_forgotten_and_the_number_not_given_again():
    watch = Watch()
    watch.see(*seen(LEFT))
    watch.see(scene([]), [])
    watch.see(*seen(LEFT), after_s=FORGET_S + 0.1)
    assert set(watch.ids) == {1}
    assert watch.people.ids == {1}


@pytest.mark.parametrize("every", [1, 4])
def test_two_people_who_cross_keep_their_numbers(every):
    """The one in front covers the other, whom the detector then does not see."""
    watch, step_px = Watch(), 4
    for step in range(50):
        front, back = (200.0 - step_px * step + 30, 70, 60, 60), (40.0 + step_px * step, 60, 60, 60)
        image = scene([back, front], seeds=[1, 2])
        visible = [front] if overlap(front, back) > 0.2 else [front, back]
        watch.see(image, found(*visible) if step % every == 0 else None)
        if step == 0:
            names = {person.box[0] > 100: person.id for person in watch.people.visible}
    last = {n: person.box for n, person in watch.ids.items()}
    assert set(last) == {0, 1}
    assert overlap(last[names[True]], front) > 0.5
    assert overlap(last[names[False]], back) > 0.5


def test_a_face_that_the_detector_misses_is_followed_for_a_while():
    watch = Watch()
    watch.see(*seen(LEFT))
    image = scene([LEFT])
    steps = round(KEEP_S * 30)
    for step in range(steps + 2):
        watch.see(image, [])
        assert bool(watch.ids) == (step < steps)


def test_a_box_whose_face_was_taken_away_is_given_up():
    watch = Watch()
    watch.see(*seen(LEFT))
    assert watch.see(scene([LEFT], seeds=[7]))
    watch.see(scene([LEFT], seeds=[7]), [])
    assert not watch.ids


def test_who_is_out_of_sight_or_close_to_another_makes_people_restless():
    watch = Watch()
    watch.see(*seen(LEFT, RIGHT))
    assert not watch.people.restless
    watch.see(*seen(LEFT, (40.0, 60.0, 60.0, 60.0)))
    assert watch.people.restless


@given(frames=st.lists(st.lists(BOXES, max_size=4), max_size=5))
@settings(deadline=None, max_examples=25)
def test_no_two_faces_of_a_frame_share_a_number(frames):
    watch, image = Watch(), scene([LEFT])
    for boxes in frames:
        watch.see(image, found(*boxes))
        visible = watch.people.visible
        assert len({person.id for person in visible}) == len(visible) >= len(boxes)


def test_a_crowd_that_comes_and_goes_leaves_nothing_behind():
    watch, rng = Watch(), np.random.default_rng(0)
    for _ in range(200):
        boxes = rng.uniform([0, 0, 20, 20], [280, 200, 60, 60], (3, 4))
        watch.see(scene([]), found(*boxes), after_s=0.5)
        assert len(watch.people) <= 3 * ((FORGET_S + 1.0) / 0.5 + 1)
