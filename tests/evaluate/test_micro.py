import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import DataError
from edge_fer.evaluate.micro import composite_report

NAMES = ("negative", "positive", "surprise")
CLIPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from(["smic", "samm", "casme2"])),
    min_size=1,
    max_size=50,
)


def scored(clips):
    labels, predicted, databases = zip(*clips, strict=True)
    return composite_report(np.array(labels), np.array(predicted), databases, NAMES)


def scores_by_loop(clips):
    """UF1, UAR and accuracy, counted clip by clip."""
    f1, recall = [], []
    for k in range(3):
        tp = fp = fn = 0
        for label, predicted, _ in clips:
            tp += label == k and predicted == k
            fp += label != k and predicted == k
            fn += label == k and predicted != k
        if tp + fn:
            f1.append(2 * tp / (2 * tp + fp + fn))
            recall.append(tp / (tp + fn))
    hits = sum(label == predicted for label, predicted, _ in clips)
    return sum(f1) / len(f1), sum(recall) / len(recall), hits / len(clips)


def figures(document):
    return document["uf1"], document["uar"], document["accuracy"]


def test_figures_computed_by_hand():
    """Negative: 3 of 4, surprise called positive once; TP 3, 1, 1; FP 0, 2, 0; FN 1, 0, 1."""
    clips = [(0, 0, "a")] * 3 + [(0, 1, "a"), (1, 1, "b"), (2, 1, "b"), (2, 2, "b")]
    document = scored(clips)
    assert document["uf1"] == pytest.approx((6 / 7 + 2 / 4 + 2 / 3) / 3)
    assert document["uar"] == pytest.approx((3 / 4 + 1 + 1 / 2) / 3)
    assert document["accuracy"] == pytest.approx(5 / 7)
    assert document["per_class"]["positive"] == {
        "n": 1, "tp": 1, "fp": 2, "fn": 0, "f1": 0.5, "recall": 1.0,
    }  # fmt: skip
    assert list(document["databases"]) == ["a", "b"]
    assert document["databases"]["b"]["uf1"] == pytest.approx((2 / 3 + 2 / 3) / 2)
    assert document["databases"]["b"]["uar"] == pytest.approx((1 + 1 / 2) / 2)


def test_always_the_commonest_class_scores_a_third_of_recall():
    document = scored([(0, 0, "a")] * 8 + [(1, 0, "a"), (2, 0, "a")])
    assert document["accuracy"] == 0.8
    assert document["uar"] == pytest.approx(1 / 3)
    assert document["uf1"] == pytest.approx(16 / 18 / 3)


@given(clips=CLIPS)
@settings(deadline=None, max_examples=200)
def test_the_composite_and_its_databases_agree_with_a_plain_loop(clips):
    document = scored(clips)
    assert figures(document) == pytest.approx(scores_by_loop(clips))
    assert set(document["databases"]) == {database for *_, database in clips}
    for name, part in document["databases"].items():
        inside = [clip for clip in clips if clip[2] == name]
        assert part["n"] == len(inside)
        assert figures(part) == pytest.approx(scores_by_loop(inside))


@given(clips=CLIPS, data=st.data())
@settings(deadline=None, max_examples=60)
def test_counts_add_up_over_folds_and_order_does_not_matter(clips, data):
    cut = data.draw(st.integers(1, len(clips)))
    folds = [fold for fold in (clips[:cut], clips[cut:]) if fold]
    whole = scored(clips[cut:] + clips[:cut])
    for name in NAMES:
        for key in ("n", "tp", "fp", "fn"):
            parts = [scored(fold)["per_class"][name][key] for fold in folds]
            assert whole["per_class"][name][key] == sum(parts)


def test_rates_are_not_averaged_over_folds():
    folds = [[(0, 0, "a"), (1, 1, "a")], [(0, 1, "a"), (1, 1, "a"), (1, 1, "a")]]
    mean = np.mean([scored(fold)["uf1"] for fold in folds])
    assert scored(folds[0] + folds[1])["uf1"] != pytest.approx(mean)


def test_a_class_without_a_clip_has_no_rate():
    document = scored([(0, 0, "a"), (0, 2, "a")])
    assert document["per_class"]["surprise"]["recall"] is None
    assert document["per_class"]["surprise"]["fp"] == 1
    assert document["uar"] == 0.5


@pytest.mark.parametrize(
    ("labels", "predicted", "databases"),
    [([], [], []), ([0], [0, 1], ["a"]), ([0], [0], []), ([-1], [0], ["a"]), ([0], [3], ["a"])],
)
def test_what_cannot_be_scored_is_refused(labels, predicted, databases):
    with pytest.raises(DataError):
        composite_report(np.array(labels, int), np.array(predicted, int), databases, NAMES)
