import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.runtime.faces.schedule import (
    MOST_FRAMES,
    RESTLESS_S,
    WITH_FACES_S,
    WITHOUT_FACES_S,
    SceneCut,
    Schedule,
)
from tests.runtime.scenes import scene


def detections(schedule, times_s, **state):
    state = {"faces": True, "restless": False} | state
    when = []
    for index, t_s in enumerate(times_s):
        if schedule.due(t_s, **state):
            schedule.detected(t_s)
            when.append(index)
    return when


def times(count, fps):
    return [index / fps for index in range(count)]


@given(every=st.integers(1, 20), fps=st.floats(1, 120), faces=st.booleans())
def test_every_n_frames_whatever_the_time(every, fps, faces):
    when = detections(Schedule(every), times(60, fps), faces=faces)
    assert when == list(range(0, 60, every))


@pytest.mark.parametrize(
    ("state", "wait_s"),
    [
        ({}, WITH_FACES_S),
        ({"faces": False}, WITHOUT_FACES_S),
        ({"restless": True}, RESTLESS_S),
    ],
)
@pytest.mark.parametrize("fps", [10, 30, 60])
def test_by_itself_it_goes_by_time(state, wait_s, fps):
    when = detections(Schedule(), times(2 * fps, fps), **state)
    gaps = np.diff(when)
    assert set(gaps) == {int(np.ceil(wait_s * fps - 1e-6))}


def test_a_new_face_waits_at_most_0_3_s():
    assert max(WITH_FACES_S, WITHOUT_FACES_S, RESTLESS_S) <= 0.3


def test_doubt_does_not_wait():
    schedule = Schedule(100)
    assert detections(schedule, times(5, 30)) == [0]
    assert schedule.due(0.2, faces=True, restless=False, doubt=True)


def test_a_detection_that_failed_stays_due():
    schedule = Schedule(4)
    for t_s in times(3, 30):
        assert schedule.due(t_s, faces=False, restless=False)
    schedule.detected(0.1)
    assert not schedule.due(0.1, faces=False, restless=False)


def test_a_clock_that_stands_still_or_goes_back_does_not_stop_detection():
    assert detections(Schedule(), [0.0] * 100) == [0, *range(MOST_FRAMES, 100, MOST_FRAMES)]
    assert detections(Schedule(), [5.0, 4.0]) == [0, 1]


def test_another_scene_is_a_cut_and_a_moving_one_is_not():
    first, moved = (scene([(x, 60, 80, 80)])[:, :, 0] for x in (100, 108))
    other = np.repeat(np.float32([[0, 255]]), 160, 1).repeat(240, 0).astype(np.uint8)
    cut = SceneCut()
    assert [cut.seen(gray) for gray in (first, moved, other, other)] == [False, False, True, False]


def test_light_that_is_switched_on_is_no_cut():
    gray = scene([(100, 60, 80, 80)])[:, :, 0] // 3
    cut = SceneCut()
    assert [cut.seen(gray), cut.seen(gray + 90)] == [False, False]
