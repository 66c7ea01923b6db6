import numpy as np
import pytest

from edge_fer.runtime.outputs.drawing import SURE_BGR, UNSURE_BGR, annotate
from edge_fer.runtime.result import UNSURE
from tests.runtime.results import result

LARGE = {"size": (480, 640), "box": (300.0, 200.0, 80.0, 90.0)}


def test_annotation_changes_pixels_near_the_box_only():
    drawn = result(**LARGE)
    before = drawn.frame.image.copy()
    changed = (annotate(drawn) != before).any(-1)
    rows, columns = np.nonzero(changed)
    assert np.array_equal(drawn.frame.image, before)
    assert changed[200, 300:380].all()
    assert rows.min() >= 200 - 40
    assert rows.max() <= 290 + 3
    assert columns.min() >= 300 - 5
    assert columns.max() <= 300 + 160
    assert not changed[210:280, 310:370].any()


@pytest.mark.parametrize("box", [(-50.0, -60.0, 500.0, 500.0), (1000.0, 1000.0, 5.0, 5.0)])
def test_a_box_over_the_border_is_drawn_as_far_as_it_goes(box):
    assert annotate(result(box=box)).shape == (96, 128, 3)


def test_a_gray_frame_is_drawn_in_colour():
    gray, colour = annotate(result(gray=True, **LARGE)), annotate(result(**LARGE))
    assert np.array_equal(gray, colour)


def test_an_unsure_face_has_another_colour():
    sure, unsure = annotate(result(**LARGE)), annotate(result(answer=UNSURE, **LARGE))
    assert tuple(sure[290, 340]) == SURE_BGR
    assert tuple(unsure[290, 340]) == UNSURE_BGR


@pytest.mark.parametrize("height", [240, 480, 1080])
def test_a_tracked_box_has_a_thinner_line(height):
    where = {"size": (height, 640), "box": (300.0, 100.0, 80.0, 90.0)}
    column = (slice(150, 200), 340)
    detected = (annotate(result(**where)) != 30).any(-1)[column].sum()
    tracked = (annotate(result(tracked=True, **where)) != 30).any(-1)[column].sum()
    assert 1 <= tracked < detected
