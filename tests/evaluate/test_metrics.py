import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.evaluate.metrics import (
    confusion_matrix,
    expected_calibration_error,
    reliability_bins,
    report,
    subset_report,
    wilson_interval,
)

COUNTS = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_wilson_agrees_with_a_hand_computed_interval():
    low, high = wilson_interval(50, 100)
    assert (round(low, 4), round(high, 4)) == (0.4038, 0.5962)
    low, high = wilson_interval(10, 10)
    assert (round(low, 4), high) == (0.7225, 1.0)


def test_nothing_measured_means_nothing_known():
    assert wilson_interval(0, 0) == (0, 1)


@given(counts=COUNTS)
@settings(deadline=None, max_examples=200)
def test_wilson_contains_the_proportion_within_0_and_1(counts):
    correct, n = counts
    low, high = wilson_interval(correct, n)
    assert 0 <= low <= correct / n <= high <= 1
    assert low < high


@given(counts=COUNTS, factor=st.integers(2, 50))
@settings(deadline=None, max_examples=100)
def test_wilson_is_narrower_with_more_faces(counts, factor):
    low, high = wilson_interval(*counts)
    closer_low, closer_high = wilson_interval(counts[0] * factor, counts[1] * factor)
    assert closer_high - closer_low < high - low


@given(counts=COUNTS)
@settings(deadline=None, max_examples=100)
def test_wilson_is_symmetric_in_hits_and_misses(counts):
    correct, n = counts
    low, high = wilson_interval(correct, n)
    assert wilson_interval(n - correct, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def two_classes(confidence, correct):
    """Probabilities that say class 0 with ``confidence``; the label is 0 where ``correct``."""
    confidence = np.asarray(confidence, float)
    return np.stack([confidence, 1 - confidence], 1), np.where(correct, 0, 1)


def test_confidence_that_is_always_right_has_no_calibration_error():
    correct = np.arange(1000) < 800
    assert expected_calibration_error(*two_classes([0.8] * 1000, correct)) == pytest.approx(0)
    assert expected_calibration_error(*two_classes([1.0] * 5, [True] * 5)) == 0


def test_confident_and_always_wrong_errs_by_its_confidence():
    for confidence in (0.6, 0.9, 1.0):
        error = expected_calibration_error(*two_classes([confidence] * 20, [False] * 20))
        assert error == pytest.approx(confidence)


def test_bins_are_weighted_by_their_faces():
    confidence = [0.9] * 30 + [0.6] * 10
    correct = [True] * 30 + [False] * 10
    error = expected_calibration_error(*two_classes(confidence, correct))
    assert error == pytest.approx(0.75 * 0.1 + 0.25 * 0.6)


def test_over_and_underconfidence_in_different_bins_do_not_cancel():
    error = expected_calibration_error(*two_classes([0.95, 0.55], [False, True]))
    assert error == pytest.approx((0.95 + 0.45) / 2)


FACES = st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=60)


@given(faces=FACES)
@settings(deadline=None, max_examples=200)
def test_calibration_error_is_a_fraction_and_no_less_than_the_gap_of_the_means(faces):
    confidence, correct = zip(*faces, strict=True)
    error = expected_calibration_error(*two_classes(confidence, correct))
    assert abs(np.mean(confidence) - np.mean(correct)) - 1e-9 <= error <= 1


@given(faces=FACES)
@settings(deadline=None, max_examples=200)
def test_bins_hold_every_face_once(faces):
    bins = reliability_bins(*two_classes(*zip(*faces, strict=True)))
    assert len(bins) == 15
    assert [b["to"] for b in bins[:-1]] == [b["from"] for b in bins[1:]]
    assert (bins[0]["from"], bins[-1]["to"]) == (0, 1)
    assert sum(b["n"] for b in bins) == len(faces)
    for b in bins:
        assert (b["accuracy"] is None) == (b["confidence"] is None) == (b["n"] == 0)
        if b["n"]:
            assert b["from"] - 1e-6 <= b["confidence"] <= b["to"] + 1e-6
            assert 0 <= b["accuracy"] <= 1


def test_bins_have_their_own_confidence_and_accuracy():
    bins = reliability_bins(*two_classes([0.95, 0.97, 0.55], [True, False, True]))
    assert bins[14] == pytest.approx(
        {"from": 14 / 15, "to": 1, "n": 2, "confidence": 0.96, "accuracy": 0.5}
    )
    assert (bins[8]["n"], bins[8]["accuracy"]) == (1, 1)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
@settings(deadline=None, max_examples=60)
def test_the_confusion_matrix_counts_labels_in_rows_and_predictions_in_columns(pairs):
    expected = np.zeros((5, 5), int)
    for label, predicted in pairs:
        expected[label, predicted] += 1
    labels_N, predicted_N = np.array(pairs).T
    assert np.array_equal(confusion_matrix(labels_N, predicted_N, 5), expected)


@pytest.fixture
def hand_made():
    """Six faces of classes a, a, a, a, b, b; one a is called b and one b is called c."""
    predicted_N = np.array([0, 0, 0, 1, 1, 2])
    probabilities_NK = np.eye(4)[predicted_N] * 0.6 + 0.1
    return probabilities_NK, np.array([0, 0, 0, 0, 1, 1]), ("a", "b", "c", "d")


def test_the_report_agrees_with_figures_computed_by_hand(hand_made):
    figures = report(*hand_made)
    assert figures["n"] == 6
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["accuracy_ci95"] == list(wilson_interval(4, 6))
    assert figures["uar"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert figures["ece"] == pytest.approx(0.7 - 4 / 6)
    assert figures["uf1"] == pytest.approx((6 / 7 + 1 / 2) / 2)
    a, b = figures["per_class"]["a"], figures["per_class"]["b"]
    assert (a["recall"], a["precision"], a["f1"], a["n"]) == pytest.approx((3 / 4, 1, 6 / 7, 4))
    assert (b["recall"], b["precision"], b["f1"], b["n"]) == pytest.approx((1 / 2, 1 / 2, 1 / 2, 2))
    assert a["recall_ci95"] == list(wilson_interval(3, 4))
    assert figures["confusion"][1] == [0, 1, 1, 0]


def test_classes_without_faces_do_not_count_in_the_mean_recall(hand_made):
    figures = report(*hand_made)
    assert figures["per_class"]["c"] == {
        "recall": 0, "recall_ci95": [0, 1], "precision": 0, "f1": 0, "n": 0,
    }  # fmt: skip
    assert figures["per_class"]["d"]["n"] == 0
    assert figures["uar"] == pytest.approx(0.625)
    assert figures["uf1"] == pytest.approx((6 / 7 + 1 / 2) / 2)


def test_leaks_are_left_out_of_one_figure_only(hand_made):
    leaked_N = np.array([True, True, False, False, False, False])
    figures = report(*hand_made, leaked_N)
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["accuracy_without_leaks"] == pytest.approx(2 / 4)
    assert (figures["n"], figures["n_without_leaks"]) == (6, 4)


def test_a_split_of_leaks_only_has_no_accuracy_without_them(hand_made):
    figures = report(*hand_made, np.ones(6, bool))
    assert figures["accuracy_without_leaks"] is None
    assert figures["n_without_leaks"] == 0


def test_without_knowledge_of_leaks_nothing_is_said_of_them(hand_made):
    figures = report(*hand_made)
    assert (figures["accuracy_without_leaks"], figures["n_without_leaks"]) == (None, None)


def test_each_tag_has_the_accuracy_of_its_faces():
    correct_N = np.array([True, False, True, True])
    tags = [("pose-30", "occlusion"), ("pose-30",), (), ("pose-30",)]
    subsets = subset_report(correct_N, tags, np.array([True, False, False, False]))
    assert list(subsets) == ["occlusion", "pose-30"]
    assert subsets["pose-30"]["n"] == 3
    assert subsets["pose-30"]["accuracy"] == pytest.approx(2 / 3)
    assert tuple(subsets["pose-30"]["accuracy_ci95"]) == wilson_interval(2, 3)
    assert subsets["pose-30"]["accuracy_without_leaks"] == pytest.approx(1 / 2)
    assert subsets["pose-30"]["n_without_leaks"] == 2
    assert subsets["occlusion"]["accuracy_without_leaks"] is None


def test_faces_without_tags_have_no_subsets():
    assert subset_report(np.array([True, False]), ()) == {}
