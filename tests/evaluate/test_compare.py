import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.evaluate.compare import comparison, mcnemar_exact, paired_difference_interval

CELLS = st.tuples(*[st.integers(0, 400)] * 4).filter(any)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [
        (0, 0, 1),
        (0, 1, 1),
        (5, 5, 1),
        (0, 5, 2 / 32),
        (1, 5, 2 * (1 + 6) / 64),
        (2, 12, 2 * (1 + 14 + 91) / 2**14),
    ],
)
def test_mcnemar_agrees_with_figures_computed_by_hand(first, second, p):
    assert mcnemar_exact(first, second) == pytest.approx(p)
    assert mcnemar_exact(second, first) == pytest.approx(p)


@given(first=st.integers(0, 60), second=st.integers(0, 60))
@settings(deadline=None, max_examples=100)
def test_mcnemar_agrees_with_whole_numbers(first, second):
    n = first + second
    tail = sum(math.comb(n, k) for k in range(min(first, second) + 1))
    assert mcnemar_exact(first, second) == pytest.approx(min(1, 2 * tail / 2**n))


@pytest.mark.parametrize("counts", [(3, 9), (40, 61), (1000, 1100), (0, 2000), (7000, 7000)])
def test_mcnemar_agrees_with_scipy(counts):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(counts[0], sum(counts), 0.5).pvalue
    assert mcnemar_exact(*counts) == pytest.approx(expected, rel=1e-8)


def test_the_interval_agrees_with_newcombe_s_own_example():
    """Newcombe 1998, table II: 36, 12, 2, 0 of 50; method 10 gives 0.0569 to 0.3404."""
    low, high = paired_difference_interval(36, 2, 12, 0)
    assert (round(low, 4), round(high, 4)) == (0.0569, 0.3404)


def test_the_interval_agrees_with_altman_s_example():
    """Altman et al. 2000, table 6.2: 14, 5, 0, 22 of 41; 0.011 to 0.226."""
    low, high = paired_difference_interval(14, 0, 5, 22)
    assert (round(low, 3), round(high, 3)) == (0.011, 0.226)


@given(cells=CELLS)
@settings(deadline=None, max_examples=300)
def test_the_interval_holds_the_difference_and_turns_with_the_models(cells):
    both, first, second, neither = cells
    difference = (second - first) / sum(cells)
    low, high = paired_difference_interval(*cells)
    assert -1 <= low <= difference <= high <= 1
    turned = paired_difference_interval(both, second, first, neither)
    assert turned == pytest.approx((-high, -low))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    shares = np.array([0.6, 0.05, 0.08, 0.27])
    tables = rng.multinomial(300, shares, 2000)
    intervals = [paired_difference_interval(*table) for table in tables.tolist()]
    covered = np.mean([low <= 0.03 <= high for low, high in intervals])
    assert 0.935 <= covered <= 0.975


def probabilities(classes):
    return np.eye(3)[list(classes)]


def test_a_comparison_counts_pairs():
    labels_N = np.array([0, 0, 1, 1, 2])
    figures = comparison(probabilities([0, 1, 1, 0, 1]), probabilities([0, 0, 1, 2, 0]), labels_N)
    assert figures["n"] == 5
    assert [figures[key] for key in ("both_correct", "both_wrong")] == [2, 2]
    assert (figures["only_first_correct"], figures["only_second_correct"]) == (0, 1)
    assert figures["accuracy_difference"] == pytest.approx(1 / 5)
    assert figures["label_flip_rate"] == pytest.approx(3 / 5)
    assert figures["mcnemar_p"] == 1
    assert "Newcombe" in figures["interval_method"]


def test_a_model_does_not_differ_from_itself():
    said = probabilities([0, 1, 1, 0, 1])
    figures = comparison(said, said, np.array([0, 0, 1, 1, 2]))
    assert (figures["label_flip_rate"], figures["accuracy_difference"]) == (0, 0)
    assert figures["mcnemar_p"] == 1
