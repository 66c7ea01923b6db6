import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.data.scenes import Photo
from edge_fer.detect.metrics import Judged, average_precision, clipped, judge
from edge_fer.runtime.faces.decode import Faces

IMAGE = np.zeros((100, 100), np.uint8)
NONE = np.empty((0, 4))
LEFT, RIGHT, NOWHERE = (10, 10, 20, 20), (60, 10, 30, 30), (10, 60, 20, 20)


def truth(*boxes, ignored=()):
    return Photo(
        name="t",
        image_HW=IMAGE,
        boxes_N4=np.array(boxes, float).reshape(-1, 4),
        points_N52=np.zeros((len(boxes), 5, 2)),
        ignored_N4=np.array(ignored, float).reshape(-1, 4),
    )


def found(*pairs):
    return Faces(
        boxes_N4=np.array([box for box, _ in pairs], float).reshape(-1, 4),
        points_N52=np.zeros((len(pairs), 5, 2)),
        scores_N=np.array([score for _, score in pairs], float),
    )


def test_all_found_and_nothing_else_is_perfect():
    faces = [found((RIGHT, 0.9), (LEFT, 0.4))]
    assert average_precision(faces, [truth(LEFT, RIGHT)]) == 1.0


def test_a_false_face_between_two_right_ones():
    faces = [found((LEFT, 0.9), (NOWHERE, 0.8), (RIGHT, 0.7))]
    judged = judge(faces, [truth(LEFT, RIGHT)])
    assert judged.average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert judged.recall_at(0.0) == 0.5
    assert judged.recall_at(1.0) == 1.0
    assert judged.score_at(0.5) == 0.9


def test_a_face_is_found_only_once():
    judged = judge([found((LEFT, 0.9), (LEFT, 0.8))], [truth(LEFT)])
    assert judged.right_N.tolist() == [True, False]


def test_half_of_the_union_must_be_shared():
    shifted = (10, 10 + 20 / 3 + 0.1, 20, 20)
    assert average_precision([found((shifted, 0.9))], [truth(LEFT)]) == 0
    assert average_precision([found((shifted, 0.9))], [truth(LEFT)], least_overlap=0.45) == 1


def test_what_is_ignored_does_not_count():
    judged = judge([found((LEFT, 0.9), (RIGHT, 0.8))], [truth(RIGHT, ignored=[LEFT])])
    assert judged.average_precision == 1
    assert len(judged.scores_N) == 1


def test_faces_of_other_sizes_do_not_count():
    faces, photo = [found((LEFT, 0.9), (NOWHERE, 0.8), (RIGHT, 0.7))], truth(LEFT, RIGHT)
    judged = judge(faces, [photo], sizes_px=(25, math.inf))
    assert (judged.faces, judged.average_precision) == (1, 1.0)


def test_faces_that_are_not_asked_for_do_not_count():
    faces, photo = [found((LEFT, 0.9), (NOWHERE, 0.8), (RIGHT, 0.7))], truth(LEFT, RIGHT)
    judged = judge(faces, [photo], asked=lambda _: np.array([False, True]))
    assert (judged.faces, judged.right_N.tolist()) == (1, [False, True])


def test_what_is_outside_of_the_picture_is_not_compared():
    assert average_precision([found(((0, 0, 30, 20), 0.9))], [truth((-40, 0, 70, 20))]) == 1


def test_nothing_found_is_not_an_error():
    judged = judge([found()], [truth(LEFT)])
    assert (judged.average_precision, judged.recall_at(1.0), judged.score_at(1.0)) == (0, 0, 1)


def test_clipped():
    boxes = clipped(np.array([[-5.0, 90, 20, 20], [200, 200, 5, 5]]), IMAGE.shape)
    assert boxes.tolist() == [[0, 90, 15, 10], [100, 100, 0, 0]]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40),
    st.integers(0, 10),
    st.lists(st.floats(0, 3), min_size=2, max_size=2),
)
def test_more_false_faces_allowed_never_find_less(rows, missed, rates):
    rows = sorted(rows, key=lambda row: -row[0])
    judged = Judged(
        scores_N=np.array([row[0] for row in rows]),
        right_N=np.array([row[1] for row in rows], bool),
        faces=sum(row[1] for row in rows) + missed,
        pictures=5,
    )
    low, high = sorted(rates)
    assert judged.recall_at(low) <= judged.recall_at(high)
    assert 0 <= judged.average_precision <= 1
