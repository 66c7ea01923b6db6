from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.data.dataset import Dataset, Item
from edge_fer.data.vocabulary import in_vocabulary
from edge_fer.errors import DataError
from edge_fer.labels import (
    AFFECTNET_CODES,
    CASME2_LABELS,
    CASME_LABELS,
    CK_PLUS_CODES,
    EIGHT,
    EXPRESSIONS,
    FER2013_LABELS,
    FERPLUS_COLUMNS,
    JAFFE_CODES,
    MICRO_3,
    MICRO_4,
    RAF_DB_CODES,
    SAMM_LABELS,
    SEVEN,
    SIX,
    canonical_label,
    micro_label,
)


def dataset(label_names, labels, votes=()):
    items = tuple(
        Item(name=str(i), source=Path("x"), label=label, votes=votes)
        for i, label in enumerate(labels)
    )
    return Dataset(name="x", label_names=label_names, items=items)


def names(found):
    return [found.label_names[item.label] for item in found.items]


def test_the_vocabularies_begin_alike():
    assert EIGHT[:7] == SEVEN == FER2013_LABELS
    assert SEVEN[:6] == SIX
    assert MICRO_4[:3] == MICRO_3


def test_every_map_gives_canonical_names():
    for codes in (RAF_DB_CODES, CK_PLUS_CODES, AFFECTNET_CODES, JAFFE_CODES):
        assert len(set(codes.values())) == len(codes)
        assert set(codes.values()) <= set(EXPRESSIONS)
    assert set(FERPLUS_COLUMNS) == {*EXPRESSIONS, "unknown", "nf"}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Happiness", "happy"),
        (" ANGER ", "angry"),
        ("sadness", "sad"),
        ("Other", "others"),
        ("7", None),
    ],
)
def test_spellings_have_one_name(written, name):
    assert canonical_label(written) == name


@pytest.mark.parametrize("labels", [CASME_LABELS, CASME2_LABELS, SAMM_LABELS, MICRO_4])
def test_every_micro_expression_has_a_class(labels):
    assert {micro_label(name) for name in labels} <= set(MICRO_4)


def test_repression_is_negative_and_tension_is_other():
    assert micro_label("Repression") == "negative"
    assert micro_label("tense") == "others"
    assert micro_label("neutral") is None


def test_names_follow_the_items_into_another_order():
    found = in_vocabulary(dataset(("Anger", "happiness", "neutral"), [0, 1, 2, 1]), SEVEN)
    assert names(found) == ["angry", "happy", "neutral", "happy"]
    assert found.problems == ()


def test_items_of_no_class_are_dropped_and_counted_in_one_line():
    found = in_vocabulary(dataset(EIGHT, [0, 7, 6, 7]), SIX)
    assert names(found) == ["angry"]
    assert found.problems == (
        "3 items are of no class among angry, disgust, fear, happy, sad, surprise: "
        "contempt 2, neutral 1",
    )


def test_emotions_become_micro_classes():
    every = dataset(CASME2_LABELS, range(len(CASME2_LABELS)))
    assert names(in_vocabulary(every, MICRO_4)) == [
        "positive", "negative", "negative", "surprise", "negative", "negative", "others",
    ]  # fmt: skip
    assert "others" not in names(in_vocabulary(every, MICRO_3))


def test_votes_move_with_their_classes():
    found = in_vocabulary(
        dataset(("sad", "contempt", "fear"), [0], (5.0, 2.0, 3.0)), ("fear", "sad")
    )
    assert found.items[0].votes == (3.0, 5.0)


def test_unlabelled_items_stay_unlabelled():
    assert in_vocabulary(dataset(("sad",), [-1]), SEVEN).items[0].label == -1


@pytest.mark.parametrize("label_names", [(), ("a", "a")])
def test_what_is_no_vocabulary_is_refused(label_names):
    with pytest.raises(DataError, match="not a vocabulary"):
        in_vocabulary(dataset(("a",), [0]), label_names)


@given(st.permutations(EIGHT), st.lists(st.integers(0, 7), max_size=20))
def test_going_to_another_order_and_back_changes_nothing(order, labels):
    before = dataset(EIGHT, labels)
    assert in_vocabulary(in_vocabulary(before, order), EIGHT) == before
