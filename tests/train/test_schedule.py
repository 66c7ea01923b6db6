import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.train.config import CHOICES, Stage
from edge_fer.train.schedule import learning_rate


def rates(stage, steps_per_epoch=4):
    return [
        learning_rate(stage, step, steps_per_epoch)
        for step in range(stage.epochs * steps_per_epoch)
    ]


def test_a_warm_up_is_linear_and_ends_at_the_peak():
    stage = Stage(epochs=10, warmup_epochs=2, learning_rate=0.8)
    assert rates(stage)[:8] == pytest.approx([0.1 * step for step in range(1, 9)])


def test_a_cosine_is_half_way_down_in_the_middle_and_zero_at_the_end():
    stage = Stage(epochs=10, warmup_epochs=0, learning_rate=1.0)
    assert learning_rate(stage, 20, 4) == pytest.approx(0.5)
    assert learning_rate(stage, 40, 4) == pytest.approx(0.0)
    assert learning_rate(stage, 99, 4) == pytest.approx(0.0)


def test_a_step_schedule_falls_every_so_many_epochs():
    stage = Stage(
        epochs=25, warmup_epochs=0, learning_rate=1.0, schedule="step", decay=0.9, decay_epochs=10
    )
    assert [learning_rate(stage, 4 * epoch, 4) for epoch in (0, 9, 10, 19, 20)] == pytest.approx(
        [1, 1, 0.9, 0.9, 0.81]
    )


def test_inverse_time_is_halved_after_its_epochs():
    stage = Stage(
        epochs=9, warmup_epochs=0, learning_rate=1.0, schedule="inverse_time", decay=1.0,
        decay_epochs=3,
    )  # fmt: skip
    assert [learning_rate(stage, 4 * epoch, 4) for epoch in (0, 3, 6)] == pytest.approx(
        [1, 1 / 2, 1 / 3]
    )


def test_a_plateau_schedule_counts_cuts():
    stage = Stage(warmup_epochs=0, learning_rate=1.0, schedule="plateau", decay=0.1)
    assert [learning_rate(stage, 5, 4, cuts) for cuts in (0, 1, 2)] == pytest.approx([1, 0.1, 0.01])


@given(
    st.sampled_from(CHOICES["schedule"]), st.integers(0, 500), st.integers(1, 9), st.integers(0, 5)
)
def test_no_schedule_leaves_0_to_the_peak(schedule, step, warmup, cuts):
    stage = Stage(schedule=schedule, epochs=100, warmup_epochs=warmup, learning_rate=0.3)
    assert 0 <= learning_rate(stage, step, 5, cuts) <= 0.3 + 1e-12
