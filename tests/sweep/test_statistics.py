import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.sweep.statistics import describe, student_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (9, 2.26216), (30, 2.04227)],
)
def test_student_quantiles_are_those_of_the_tables(freedom, quantile):
    assert student_quantile(freedom) == pytest.approx(quantile, abs=5e-5)


def test_quantiles_for_two_degrees_have_a_closed_form():
    level = 0.9
    expected = level * math.sqrt(2 / (1 - level**2))
    assert student_quantile(2, level) == pytest.approx(expected, rel=1e-12)


def test_many_degrees_of_freedom_are_nearly_normal():
    assert student_quantile(2001) == pytest.approx(1.961150, abs=1e-5)


def test_three_figures_by_hand():
    described = describe([0.60, 0.62, 0.67])
    assert described["n"] == 3
    assert described["mean"] == pytest.approx(0.63)
    assert described["sd"] == pytest.approx(math.sqrt(0.0013))
    half = 4.302653 * math.sqrt(0.0013 / 3)
    assert described["ci95"] == pytest.approx([0.63 - half, 0.63 + half], abs=1e-7)
    assert (described["min"], described["max"]) == (0.60, 0.67)


def test_one_figure_has_no_spread_and_none_no_mean():
    one = {"n": 1, "mean": 0.5, "sd": None, "min": 0.5, "max": 0.5, "ci95": None}
    assert describe([0.5]) == one
    assert describe([]) == {k: 0 if k == "n" else None for k in one}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_the_mean_is_between_the_extremes_and_inside_its_interval(values):
    described = describe(values)
    low, high = described["ci95"]
    assert described["min"] - 1e-12 <= described["mean"] <= described["max"] + 1e-12
    assert low <= described["mean"] <= high
    assert low + high == pytest.approx(2 * described["mean"])
