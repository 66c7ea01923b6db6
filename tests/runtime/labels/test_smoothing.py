from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import ModelError
from edge_fer.runtime.labels.baseline import LEARN_S, MOST_OFFSET, WAIT_S, Baseline
from edge_fer.runtime.labels.smoothing import Smoother
from edge_fer.runtime.result import UNSURE
from edge_fer.runtime.settings import Settings

LABELS = ("happy", "sad", "neutral")
HAPPY, SAD = np.float32([0.8, 0.1, 0.1]), np.float32([0.1, 0.8, 0.1])
FLAT = np.float32([0.34, 0.33, 0.33])


def smoother(labels=LABELS, **changes):
    values = {"smooth_s": 0.5, "hysteresis": 0.0, "hold_s": 0.0, "unsure": 0.0}
    return Smoother(Settings(**(values | changes)), labels)


def answers(steady, probabilities, times_s):
    return [steady.update(p, t)[1] for p, t in zip(probabilities, times_s, strict=True)]


PROBABILITIES = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(
    lambda values: np.float32(values) / np.float32(sum(values))
)


@given(
    frames=st.lists(st.tuples(PROBABILITIES, st.floats(0, 2)), min_size=1, max_size=20),
    baseline=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_smoothed_probabilities_are_probabilities(frames, baseline):
    steady, t_s = smoother(neutral_baseline=baseline, unsure=0.4), 0.0
    for probabilities, step_s in frames:
        t_s += step_s
        smooth, answer = steady.update(probabilities, t_s)
        assert smooth.dtype == np.float32
        assert smooth.sum() == pytest.approx(1, abs=1e-4)
        assert (smooth >= 0).all()
        assert answer in (*LABELS, UNSURE)


@given(
    steps=st.lists(st.floats(0.001, 0.3), min_size=1, max_size=20),
    smooth_s=st.floats(0.05, 2),
)
@settings(deadline=None, max_examples=60)
def test_what_counts_is_the_time_and_not_the_number_of_frames(steps, smooth_s):
    steady, t_s = smoother(smooth_s=smooth_s), 0.0
    steady.update(HAPPY, 0.0)
    for step_s in steps:
        t_s += step_s
        smooth, _ = steady.update(SAD, t_s)
    expected = SAD + (HAPPY - SAD) * np.exp(-t_s / smooth_s)
    np.testing.assert_allclose(smooth, expected, atol=1e-5)


def test_the_first_frame_is_taken_as_it_is():
    smooth, answer = smoother().update(SAD, 7.0)
    assert np.array_equal(smooth, SAD)
    assert answer == "sad"


def test_time_that_goes_back_starts_anew():
    steady = smoother()
    steady.update(HAPPY, 5.0)
    smooth, answer = steady.update(SAD, 1.0)
    assert np.array_equal(smooth, SAD)
    assert answer == "sad"


def test_the_probabilities_given_before_do_not_change():
    steady = smoother()
    first, _ = steady.update(HAPPY, 0.0)
    steady.update(SAD, 0.2)
    assert np.array_equal(first, HAPPY)


NARROW = np.float32([0.42, 0.48, 0.10])


def test_a_small_lead_has_to_last_and_a_large_one_does_not():
    times_s = np.arange(10) * 0.1
    steady = smoother(smooth_s=1e-3, hysteresis=0.2, hold_s=0.45)
    assert answers(steady, [HAPPY, *[NARROW] * 9], times_s) == ["happy"] * 6 + ["sad"] * 4
    steady = smoother(smooth_s=1e-3, hysteresis=0.2, hold_s=0.45)
    assert answers(steady, [HAPPY, SAD], [0.0, 0.1]) == ["happy", "sad"]


def test_a_lead_that_breaks_off_begins_again():
    steady = smoother(smooth_s=1e-3, hysteresis=0.2, hold_s=0.25)
    shown = [HAPPY, NARROW, NARROW, HAPPY, NARROW, NARROW, NARROW, NARROW]
    assert answers(steady, shown, np.arange(8) * 0.1) == ["happy"] * 7 + ["sad"]


def test_unsure_is_an_answer_that_does_not_flicker_either():
    edge = [np.float32([p, 0.27, 0.73 - p]) for p in (0.45, 0.38, 0.45, 0.38)]
    plain = smoother(LABELS, smooth_s=1e-3, unsure=0.4)
    held = smoother(LABELS, smooth_s=1e-3, unsure=0.4, hysteresis=0.2, hold_s=0.35)
    times_s = np.arange(4) * 0.1
    assert answers(plain, edge, times_s) == ["happy", UNSURE, "happy", UNSURE]
    assert answers(held, edge, times_s) == ["happy"] * 4


def test_a_frame_without_any_expression_is_unsure_even_where_chance_is_above_the_threshold():
    assert smoother(unsure=0.3).update(FLAT, 0.0)[1] == UNSURE
    assert smoother(unsure=0.0).update(FLAT, 0.0)[1] == "happy"


def test_flicker_is_gone_and_a_true_change_comes_through():
    rng = np.random.default_rng(0)
    times_s = np.arange(120) / 30
    shown = [HAPPY if t < 2 else SAD for t in times_s]
    noisy = [p if rng.random() > 0.3 else p[[1, 0, 2]] for p in shown]
    steady = smoother(smooth_s=0.2, hysteresis=0.1, hold_s=0.5)
    labels = answers(steady, noisy, times_s)
    raw = [LABELS[int(p.argmax())] for p in noisy]
    flips = [sum(a != b for a, b in pairwise(run)) for run in (raw, labels)]
    assert flips[1] <= flips[0] / 5
    assert labels[-1] == "sad"


def test_a_resting_face_that_reads_sad_comes_to_be_read_as_neutral_too():
    baseline, rest = Baseline(LABELS), np.float32([0.1, 0.6, 0.3])
    for _ in range(300):
        shown = baseline.update(rest, 0.1)
    assert shown[1] == pytest.approx(shown[2], rel=1e-3)
    smile = baseline.update(np.float32([0.8, 0.15, 0.05]), 0.1)
    assert smile.argmax() == 0


def test_the_baseline_is_the_mean_of_the_logarithms_until_it_forgets():
    baseline, rng = Baseline(LABELS), np.random.default_rng(1)
    seen = rng.dirichlet([2, 5, 2], 200).astype(np.float32)
    for probabilities in seen:
        baseline.update(probabilities, 0.1)
    mean = np.log(seen).mean(0)
    np.testing.assert_allclose(baseline.offset, (mean - mean[2]).clip(0, MOST_OFFSET), atol=1e-5)
    assert LEARN_S > 200 * 0.1


def test_the_baseline_waits_is_bounded_and_leaves_neutral_faces_alone():
    baseline, extreme = Baseline(LABELS), np.float32([0, 1, 0])
    for _ in range(int(WAIT_S / 0.1) - 1):
        assert baseline.update(extreme, 0.1) == pytest.approx(extreme, abs=1e-5)
    for _ in range(50):
        baseline.update(extreme, 0.1)
    assert baseline.offset.tolist() == [0, MOST_OFFSET, 0]
    neutral = Baseline(LABELS)
    for _ in range(100):
        shown = neutral.update(np.float32([0.1, 0.2, 0.7]), 0.1)
    np.testing.assert_allclose(shown, [0.1, 0.2, 0.7], rtol=1e-5)


def test_a_gap_teaches_the_baseline_nothing():
    baseline = Baseline(LABELS)
    for dt_s in (-1.0, 0.0, 1.5, np.inf, *[1.5] * 10):
        baseline.update(SAD, dt_s)
    assert not baseline.offset.any()


def test_a_vocabulary_without_neutral_has_no_baseline():
    with pytest.raises(ModelError, match="neutral"):
        smoother(("happy", "sad"), neutral_baseline=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"smooth_s": -1},
        {"smooth_s": float("nan")},
        {"unsure": 1.5},
        {"hysteresis": -0.1},
        {"threads": 0},
        {"clip_s": 0},
        {"faces": "some"},
        {"roi": (0, 0, 0, 5)},
        {"roi": (0.1, 0.1, 0.5)},
        {"min_face": -1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused_by_name(changes):
    with pytest.raises(ModelError, match=next(iter(changes))):
        Settings(**changes)
