"""The rule that calls a difference one: it must find 5 % and must not invent any."""

import numpy as np
import pytest

from edge_fer.bench.statistics import (
    Interval,
    median_interval,
    paired_ratio,
    unpaired_ratio,
    verdict,
)

ROUNDS, INFERENCES, TRIALS = 20, 50, 100


def round_medians(rng, base_ms, drift_R):
    """Right-skewed latencies with heavy tails, rounds that differ, and a drift over the run."""
    shape = ROUNDS, INFERENCES
    noise = rng.lognormal(0, 0.05, shape)
    noise[rng.random(shape) < 0.03] *= rng.uniform(2, 30)
    rounds_R = rng.lognormal(0, 0.01, ROUNDS) * drift_R
    return np.median(base_ms * noise * rounds_R[:, None], axis=1)


def trials(compare, factor):
    """Verdicts on A against B, where B takes ``factor`` times as long."""
    phase = np.linspace(0, 1, ROUNDS)
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        drift_R = 1 + rng.uniform(0, 0.06) * np.sin(2 * np.pi * (phase + rng.random()))
        before_R = round_medians(rng, 1.0, drift_R)
        yield verdict(compare(round_medians(rng, factor, drift_R), before_R))


@pytest.mark.parametrize("compare", [paired_ratio, unpaired_ratio])
def test_no_difference_is_called_none_in_95_of_100_trials(compare):
    assert list(trials(compare, 1.0)).count("noise") >= 95


@pytest.mark.parametrize("compare", [paired_ratio, unpaired_ratio])
@pytest.mark.parametrize(("factor", "wanted"), [(1.05, "slower"), (1 / 1.05, "faster")])
def test_five_percent_are_found_in_90_of_100_trials(compare, factor, wanted):
    assert list(trials(compare, factor)).count(wanted) >= 90


def test_a_drift_that_both_share_cancels_in_a_paired_ratio():
    drift_R = np.linspace(1, 3, ROUNDS)
    ratio = paired_ratio(1.1 * drift_R, drift_R)
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1.1, 1.1, 1.1))


def test_an_interval_holds_its_estimate_and_is_the_same_each_time():
    rounds_R = np.random.default_rng(0).normal(10, 1, 30)
    interval = median_interval(rounds_R)
    assert interval.low < interval.value == np.median(rounds_R) < interval.high
    assert median_interval(rounds_R) == interval


def test_about_95_of_100_intervals_hold_the_truth():
    rng = np.random.default_rng(1)
    intervals = [median_interval(rng.normal(10, 1, 30)) for _ in range(100)]
    assert 90 <= sum(one.low <= 10 <= one.high for one in intervals) <= 100


def test_a_sure_but_tiny_change_is_noise():
    assert verdict(Interval(value=1.01, low=1.005, high=1.015)) == "noise"
    assert verdict(Interval(value=1.03, low=0.99, high=1.07)) == "noise"
    assert verdict(Interval(value=0.9, low=0.88, high=0.92)) == "faster"
    assert verdict(Interval(value=1.1, low=1.08, high=1.12)) == "slower"
