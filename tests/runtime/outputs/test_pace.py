import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.runtime.outputs.pace import Pace


def count_due(rate_hz, times_s):
    now = iter(times_s)
    pace = Pace(rate_hz, lambda: next(now))
    return sum(pace.due() for _ in times_s)


@pytest.mark.parametrize(
    ("rate_hz", "fps", "expected"), [(10, 25, 100), (10, 10, 100), (10, 5, 50), (30, 29, 290)]
)
def test_ten_seconds_of_a_steady_camera(rate_hz, fps, expected):
    times_s = [index / fps for index in range(10 * fps)]
    assert count_due(rate_hz, times_s) == pytest.approx(expected, abs=2)


def test_without_a_rate_every_frame_is_due():
    assert count_due(0, [5.0] * 7) == 7


def test_a_long_pause_is_not_made_up_for():
    assert count_due(10, [0.0] + [1000.0 + index / 100 for index in range(50)]) <= 1 + 5


@given(
    st.floats(0.1, 100),
    st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_the_rate_is_never_exceeded(rate_hz, steps_s):
    times_s = [sum(steps_s[: index + 1]) for index in range(len(steps_s))]
    span_s = times_s[-1] - times_s[0]
    assert 1 <= count_due(rate_hz, times_s) <= span_s * rate_hz + 1 + 1e-6
