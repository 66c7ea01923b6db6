import numpy as np
import pytest

from edge_fer.data import scenes_teacher
from edge_fer.data.scenes import SETS, Photo
from edge_fer.data.scenes_teacher import find_all, hand_drawn, taught

IMAGE = np.zeros((100, 100), np.uint8)
POINTS = [[5.0, 6], [7, 8], [9, 10], [11, 12], [13, 14]]


def photo(name, *boxes):
    return Photo(
        name=name,
        image_HW=IMAGE,
        boxes_N4=np.array(boxes, float).reshape(-1, 4),
        points_N52=np.full((len(boxes), 5, 2), np.nan),
    )


def row(box, score):
    return [*box, *np.ravel(POINTS), score]


@pytest.fixture
def sees(monkeypatch):
    """Lets the teacher see what a test says, in every picture."""

    def teach(*rows):
        found = np.array(rows, np.float32).reshape(-1, 15)
        monkeypatch.setattr(scenes_teacher, "find_all", lambda images, *_: [found] * len(images))

    return teach


def test_a_box_becomes_the_teachers_where_it_sees_the_face(sees):
    sees(row((20, 18, 20, 26), 0.9))
    (corrected,) = taught([photo("facemask853/a.jpg", (20, 22, 20, 20))], None)
    assert corrected.boxes_N4.tolist() == [[20, 18, 20, 26]]
    assert corrected.points_N52.tolist() == [POINTS]
    assert not len(corrected.ignored_N4)


def test_a_box_is_moved_where_it_does_not(sees):
    sees()
    (corrected,) = taught([photo("facemask853/a.jpg", (20, 20, 40, 50))], None)
    np.testing.assert_allclose(corrected.boxes_N4, [[20.2, 10.5, 38, 56]])
    assert np.isnan(corrected.points_N52).all()


def test_small_boxes_and_other_faces_are_ignored(sees):
    sees(row((70, 70, 20, 20), 0.4))
    (corrected,) = taught([photo("facemask853/a.jpg", (20, 20, 12, 14))], None)
    assert not len(corrected.boxes_N4)
    assert len(corrected.ignored_N4) == 2


def test_one_face_seen_serves_one_box_only(sees):
    sees(row((20, 20, 20, 20), 0.9))
    (corrected,) = taught([photo("facemask853/a.jpg", (20, 20, 20, 20), (22, 20, 20, 20))], None)
    assert np.isnan(corrected.points_N52).all((1, 2)).tolist() == [False, True]


def test_a_portraits_face_comes_first_and_others_follow(sees):
    sees(row((70, 10, 20, 20), 0.9), row((30, 30, 30, 40), 0.8), row((5, 5, 10, 10), 0.4))
    (corrected,) = taught([photo("lfw_original150/A_0001.jpg", (28, 28, 45, 45))], None)
    assert corrected.boxes_N4.tolist() == [[30, 30, 30, 40], [70, 10, 20, 20]]
    assert corrected.ignored_N4.tolist() == [[5, 5, 10, 10]]


def test_a_portrait_without_its_face_is_left_out(sees):
    sees(row((80, 80, 20, 20), 0.9))
    assert taught([photo("lfw_original150/A_0001.jpg", (28, 28, 45, 45))], None) == []


def test_scenes_with_faces_are_left_out_but_for_those_known_to_have_none(sees):
    sees(row((80, 80, 20, 20), 0.9))
    known = f"bsds500_gray/{SETS['bsds500_gray'].faceless[0]}.jpg"
    kept = taught([photo("bsds500_gray/other.jpg"), photo(known)], None)
    assert [one.name for one in kept] == [known]


def test_hand_drawn_asks_no_teacher():
    moved = hand_drawn(photo("facemask853/a.jpg", (20, 20, 40, 50), (0, 0, 10, 10)))
    np.testing.assert_allclose(moved.boxes_N4, [[20.2, 10.5, 38, 56]])
    assert len(moved.ignored_N4) == 1


@pytest.mark.data
def test_what_was_found_is_kept(yunet_file, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_FER_CACHE", str(tmp_path))
    images, calls = [np.zeros((64, 80), np.uint8)] * 2, []

    def report(done, count):
        calls.append((done, count))

    first = find_all(images, yunet_file, report)
    second = find_all(images, yunet_file, report)
    assert calls == [(1, 2), (2, 2)]
    assert [len(rows) for rows in first] == [len(rows) for rows in second] == [0, 0]
