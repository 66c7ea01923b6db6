import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import ModelError
from edge_fer.evaluate.metrics import expected_calibration_error
from edge_fer.evaluate.temperature import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    fit_temperature,
    negative_log_likelihood,
    temperature_of,
)
from edge_fer.runtime.classifier import softmax


def drawn_from(logits_NK, rng):
    """Labels drawn by lot from the probabilities of the logits."""
    p_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(1, keepdims=True)
    return (p_NK.cumsum(1) > rng.random((len(p_NK), 1))).argmax(1)


@pytest.fixture(scope="module")
def calibrated():
    """Logits of seven classes, and labels that follow them exactly as often as they say."""
    rng = np.random.default_rng(0)
    logits_NK = rng.normal(0, 2, (60_000, 7))
    return logits_NK, drawn_from(logits_NK, rng)


@pytest.mark.parametrize("temperature", [0.3, 0.8, 1.0, 1.7, 4.0])
def test_a_known_temperature_is_found(calibrated, temperature):
    logits_NK, labels_N = calibrated
    fitted = fit_temperature(logits_NK * temperature, labels_N)
    assert fitted.value == pytest.approx(temperature, rel=0.01)
    assert not fitted.at_bound


def test_the_fit_mends_calibration(calibrated):
    logits_NK, labels_N = calibrated
    hot_NK = 3 * logits_NK
    fitted = fit_temperature(hot_NK, labels_N)
    before = expected_calibration_error(softmax(hot_NK), labels_N)
    after = expected_calibration_error(softmax(hot_NK / fitted.value), labels_N)
    assert before > 0.1
    assert after < 0.01


@given(seed=st.integers(0, 1000), scale=st.floats(0.2, 5))
@settings(deadline=None, max_examples=40)
def test_no_temperature_nearby_is_better(seed, scale):
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(0, 1.5, (300, 4))
    labels_N = drawn_from(logits_NK, rng)
    fitted = fit_temperature(scale * logits_NK, labels_N)
    least = negative_log_likelihood(scale * logits_NK, labels_N, fitted.value)
    for factor in (0.9, 0.99, 1.01, 1.1):
        other = np.clip(factor * fitted.value, MIN_TEMPERATURE, MAX_TEMPERATURE)
        assert negative_log_likelihood(scale * logits_NK, labels_N, other) >= least - 1e-12


def test_the_fit_is_the_same_every_time(calibrated):
    logits_NK, labels_N = calibrated
    first, second = (fit_temperature(logits_NK[:500], labels_N[:500]) for _ in range(2))
    assert first == second


def test_likelihood_agrees_with_a_figure_computed_by_hand():
    logits_NK = np.log([[0.8, 0.2], [0.5, 0.5]])
    expected = -(np.log(0.2) + np.log(0.5)) / 2
    assert negative_log_likelihood(logits_NK, np.array([1, 0]), 1) == pytest.approx(expected)


def test_always_right_is_as_sure_as_allowed_and_always_wrong_as_unsure():
    logits_NK = np.array([[2.0, 0.0], [0.0, 1.0]])
    sure = fit_temperature(logits_NK, np.array([0, 1]))
    unsure = fit_temperature(logits_NK, np.array([1, 0]))
    assert (sure.value, sure.at_bound) == (MIN_TEMPERATURE, True)
    assert (unsure.value, unsure.at_bound) == (MAX_TEMPERATURE, True)


@given(scale=st.floats(1, 1e6))
@settings(deadline=None, max_examples=20)
def test_huge_logits_do_not_overflow(scale):
    logits_NK = scale * np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]])
    assert np.isfinite(fit_temperature(logits_NK, np.array([0, 1, 1])).value)


def test_metadata_without_a_temperature_have_1():
    assert temperature_of({}, "file") == 1
    assert temperature_of({"temperature": 2}, "file") == 2


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "2", None])
def test_a_temperature_that_is_none_is_refused(value):
    with pytest.raises(ModelError, match="best: temperature"):
        temperature_of({"temperature": value}, "best")
