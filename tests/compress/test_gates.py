import numpy as np
import pytest

from edge_fer.compress.gates import Limits, against_float, gates_of

NAMES = ("angry", "happy", "sad")


def probabilities(labels_N):
    return np.eye(3)[labels_N] * 0.7 + 0.1


@pytest.fixture(scope="module")
def figures():
    """200 faces, all right in float; the quantized file gets 10 of 50 happy ones wrong."""
    labels_N = np.repeat([0, 1], [150, 50])
    own_N = labels_N.copy()
    own_N[150:160] = 2
    return against_float(probabilities(labels_N), probabilities(own_N), labels_N, NAMES)


def test_the_loss_is_counted_on_pairs(figures):
    assert figures["n"] == 200
    assert figures["drop_pt"] == pytest.approx(5)
    assert figures["drop_ci95_pt"][0] < 5 < figures["drop_ci95_pt"][1]
    assert figures["mcnemar_p"] == pytest.approx(2 / 2**10)
    assert figures["flips_percent"] == pytest.approx(5)
    # Confidence is 0.8 throughout, so 100 % right is off by 20 points and 95 % by 15.
    assert figures["ece_change_pt"] == pytest.approx(-5)


def test_the_worst_class_has_its_own_interval_and_n(figures):
    worst = figures["worst_class"]
    assert (worst["label"], worst["n"]) == ("happy", 50)
    assert worst["drop_pt"] == pytest.approx(20)
    assert 0 < worst["drop_ci95_pt"][0] < 20 < worst["drop_ci95_pt"][1]
    assert [c["label"] for c in figures["classes"]] == ["angry", "happy"]


@pytest.mark.parametrize(
    ("limits", "gate", "words"),
    [
        (Limits(drop_pt=4.5), "--max-drop", ("loses 5.00 points", "n 200", "0.50 less")),
        (Limits(class_drop_pt=19), "--max-class-drop", ("happy", "20.00", "n 50", "1.00 less")),
        (Limits(flips_percent=4), "--max-flips", ("5.00 % of labels", "n 200", "1.00 less")),
    ],
)
def test_a_gate_that_fails_says_which_by_how_much_and_on_how_many(figures, limits, gate, words):
    (failed,) = gates_of("m.tflite", figures, limits)
    assert (failed["gate"], failed["file"], failed["passed"]) == (gate, "m.tflite", False)
    assert all(word in failed["message"] for word in ("m.tflite", gate, "95 %", *words))


def test_what_is_within_the_limits_passes(figures):
    limits = Limits(drop_pt=5.1, class_drop_pt=20.1, flips_percent=5.1)
    gates = gates_of("m", figures, limits)
    assert [gate["passed"] for gate in gates] == [True] * 3
    assert all(gate["over"] < 0 for gate in gates)


def test_no_limit_no_gate(figures):
    assert gates_of("m", figures, Limits()) == []


def test_a_file_that_is_better_than_float_passes_a_limit_of_nothing():
    labels_N = np.repeat([0, 1], 50)
    worse_N = labels_N.copy()
    worse_N[:5] = 2
    figures = against_float(probabilities(worse_N), probabilities(labels_N), labels_N, NAMES)
    assert figures["drop_pt"] == pytest.approx(-5)
    assert gates_of("m", figures, Limits(drop_pt=0))[0]["passed"]
