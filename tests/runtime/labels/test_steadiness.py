import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.runtime.frame import Frame
from edge_fer.runtime.labels.steadiness import LONGEST_GAP_S, MOST_FACES, STABLE_S, Steadiness
from edge_fer.runtime.result import UNSURE, Face, Result

LABELS = ("happy", "sad")
IMAGE = np.zeros((1, 1, 3), np.uint8)


def face(number, raw, answer=""):
    raw_K = np.float32([raw == label for label in LABELS])
    return Face(number, (0, 0, 1, 1), raw_K, LABELS, None, answer, raw_K)


def result(t_s, *faces, name=""):
    return Result(Frame(0, t_s, IMAGE, 0.0, name), faces, {})


def watch(raws, answers, step_s=0.1):
    steadiness = Steadiness()
    for index, (raw, answer) in enumerate(zip(raws, answers, strict=True)):
        steadiness.add(result(index * step_s, face(7, raw, answer)))
    return steadiness.to_dict()


def test_flips_are_counted_for_each_frame_alone_and_as_shown():
    raws = ["happy", "sad", "happy", "sad", "sad", "sad", "happy"]
    answers = ["happy"] * 5 + [UNSURE] * 2
    document = watch(raws, answers)
    assert document["seconds"] == pytest.approx(0.6)
    assert (document["raw"]["flips"], document["shown"]["flips"]) == (4, 1)
    assert document["raw"]["flips_per_minute"] == pytest.approx(400)
    assert document["flips_removed"] == 0.75
    assert document["by_face"][0]["id"] == 7


def test_the_time_to_a_stable_label_ends_where_the_label_began_to_stay():
    raws = ["happy", "sad", "happy", *["sad"] * 20, "happy"]
    document = watch(raws, ["happy"] * 24)
    assert document["raw"]["median_s_to_stable"] == pytest.approx(0.3)
    assert document["shown"]["median_s_to_stable"] == 0
    assert document["raw"]["stable"] == 1


def test_a_label_that_never_stays_is_not_stable():
    steps = round(STABLE_S / 0.1)
    for count, stable in ((steps, 0), (steps + 2, 1)):
        document = watch(["sad"] * count, ["sad"] * count)
        assert document["raw"]["stable"] == stable


def test_time_out_of_sight_does_not_count_and_a_change_in_it_is_no_flip():
    steadiness = Steadiness()
    for t_s, raw in ((0.0, "sad"), (0.5, "sad"), (0.6 + LONGEST_GAP_S, "happy"), (2.0, "happy")):
        steadiness.add(result(t_s, face(0, raw)))
    document = steadiness.to_dict()
    assert document["seconds"] == pytest.approx(0.9)
    assert document["raw"]["flips"] == 0


def test_each_face_is_watched_by_itself():
    steadiness = Steadiness()
    for index in range(4):
        faces = [face(0, "sad"), face(1, LABELS[index % 2])]
        steadiness.add(result(index / 10, *faces[:: 1 if index % 2 else -1]))
    by_face = {entry["id"]: entry["raw"]["flips"] for entry in steadiness.to_dict()["by_face"]}
    assert by_face == {0: 0, 1: 3}
    assert steadiness.to_dict()["seconds"] == pytest.approx(0.6)


def test_photos_have_no_time():
    steadiness = Steadiness()
    for raw in ("sad", "happy"):
        steadiness.add(result(0.0, face(0, raw), name="photo.jpg"))
    document = steadiness.to_dict()
    assert document["faces"] == 0
    assert document["raw"]["flips_per_minute"] is None


def test_memory_is_bounded_and_the_sums_go_on():
    steadiness = Steadiness()
    for number in range(5 * MOST_FACES):
        for step in range(20):
            t_s = number * 3 + step / 10
            steadiness.add(result(t_s, face(number, LABELS[step == 1])))
    document = steadiness.to_dict()
    assert len(document["by_face"]) == MOST_FACES
    assert document["by_face"][-1]["id"] == 5 * MOST_FACES - 1
    assert document["faces"] == document["raw"]["stable"] == 5 * MOST_FACES
    assert document["raw"]["flips"] == 10 * MOST_FACES


@given(labels=st.lists(st.sampled_from(LABELS), min_size=2, max_size=40))
@settings(deadline=None, max_examples=60)
def test_flips_are_the_changes_of_the_sequence(labels):
    document = watch(labels, labels)
    changes = sum(a != b for a, b in pairwise(labels))
    assert document["raw"]["flips"] == document["shown"]["flips"] == changes
    assert json.loads(json.dumps(document)) == document
    assert document["schema"] == "edge-fer/steadiness/1"
