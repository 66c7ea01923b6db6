import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.data.dataset import Dataset, Item, Row
from edge_fer.data.protocols import (
    Fold,
    cross_dataset,
    holdout,
    k_fold,
    leave_one_subject_out,
    make_folds,
    official,
    read_protocol,
    write_protocol,
)
from edge_fer.errors import DataError

PIXELS = np.zeros((1, 4, 4), np.uint8)
LABELS = ("angry", "happy", "sad")


def dataset_of(people, name="faces", labels=LABELS):
    """A dataset from (label, subject) or (label, subject, split)."""
    items = tuple(
        Item(
            name=f"item-{index}",
            source=Row(PIXELS, 0),
            label=label,
            subject=subject,
            split=split[0] if split else "",
        )
        for index, (label, subject, *split) in enumerate(people)
    )
    return Dataset(name=name, label_names=labels, items=items)


LABEL = st.integers(-1, 2)
ANYBODY = st.lists(
    st.tuples(LABEL, st.sampled_from(["", "ann", "bob", "cid", "dot", "eve"])),
    min_size=1,
    max_size=60,
).map(dataset_of)
KNOWN = st.lists(
    st.tuples(LABEL, st.sampled_from(["ann", "bob", "cid", "dot"])), min_size=2, max_size=60
).map(dataset_of)
NOBODY = st.lists(LABEL, min_size=6, max_size=60).map(
    lambda labels: dataset_of([(label, "") for label in labels])
)
SEED = st.integers(0, 2**32)


def folds_or_none(make):
    try:
        return make()
    except DataError:
        return None


def check_folds(dataset, folds):
    subject = {item.name: item.subject for item in dataset.items}
    for fold in folds:
        parts = [fold.train, fold.test, fold.validation]
        names = [name for part in parts for name in part]
        assert sorted(names) == sorted(subject), "every item is once in every fold"
        assert fold.train and fold.test
        people = [{subject[name] for name in part} - {""} for part in parts]
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert not people[a] & people[b], "a subject is on two sides"


@given(dataset=ANYBODY, k=st.integers(2, 6), seed=SEED)
@settings(deadline=None, max_examples=150)
def test_k_fold_tests_every_item_once_and_keeps_people_together(dataset, k, seed):
    units = len(dataset.subjects) + sum(not item.subject for item in dataset.items)
    folds = folds_or_none(lambda: k_fold(dataset, k, seed))
    assert (folds is None) == (units < k)
    if folds is not None:
        assert len(folds) == k
        check_folds(dataset, folds)
        assert Counter(name for fold in folds for name in fold.test) == Counter(
            item.name for item in dataset.items
        )


@given(dataset=ANYBODY, k=st.integers(2, 5), seed=SEED)
@settings(deadline=None, max_examples=60)
def test_the_same_seed_gives_the_same_folds_whatever_the_order_of_items(dataset, k, seed):
    shuffled = replace(dataset, items=dataset.items[::-1])
    for protocol in ("k-fold", "holdout", "loso"):
        one = folds_or_none(lambda p=protocol: make_folds(dataset, p, k=k, seed=seed))
        other = folds_or_none(lambda p=protocol: make_folds(shuffled, p, k=k, seed=seed))
        assert one == other


def test_another_seed_gives_other_folds():
    dataset = dataset_of([(index % 3, "") for index in range(60)])
    assert len({k_fold(dataset, 3, seed) for seed in range(5)}) == 5
    assert len({holdout(dataset, seed) for seed in range(5)}) == 5


@given(dataset=NOBODY, k=st.integers(2, 6), seed=SEED)
@settings(deadline=None, max_examples=100)
def test_without_subjects_folds_have_their_share_of_every_class(dataset, k, seed):
    label = {item.name: item.label for item in dataset.items}
    folds = k_fold(dataset, k, seed)
    sizes = [len(fold.test) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    for wanted in set(label.values()):
        shares = [sum(label[name] == wanted for name in fold.test) for fold in folds]
        assert max(shares) - min(shares) <= 1


@given(dataset=KNOWN, seed=SEED)
@settings(deadline=None, max_examples=100)
def test_folds_of_people_differ_by_no_more_than_one_person(dataset, seed):
    people = Counter(item.subject for item in dataset.items)
    folds = folds_or_none(lambda: k_fold(dataset, 2, seed))
    if folds is not None:
        sizes = [len(fold.test) for fold in folds]
        assert max(sizes) - min(sizes) <= max(people.values())


@given(dataset=ANYBODY, seed=SEED, fractions=st.sampled_from([(0.7, 0.3), (0.6, 0.2, 0.2)]))
@settings(deadline=None, max_examples=150)
def test_a_holdout_uses_every_item_and_keeps_people_together(dataset, seed, fractions):
    folds = folds_or_none(lambda: holdout(dataset, seed, fractions))
    if folds is not None:
        check_folds(dataset, folds)
        assert bool(folds[0].validation) == (len(fractions) == 3)


@given(labels=st.lists(st.integers(0, 2), min_size=30, max_size=90), seed=SEED)
@settings(deadline=None, max_examples=60)
def test_a_holdout_gives_every_part_its_fraction(labels, seed):
    dataset = dataset_of([(label, "") for label in labels])
    fold = holdout(dataset, seed, (0.8, 0.1, 0.1))[0]
    for part, fraction in ((fold.train, 0.8), (fold.validation, 0.1), (fold.test, 0.1)):
        assert abs(len(part) - fraction * len(labels)) <= 3


@pytest.mark.parametrize("fractions", [(1.0,), (0.5, 0.6), (1.2, -0.2), (0.4, 0.3, 0.2, 0.1)])
def test_fractions_that_are_none_are_refused(fractions):
    with pytest.raises(DataError, match="fractions"):
        holdout(dataset_of([(0, "")] * 20), 0, fractions)


@given(dataset=KNOWN)
@settings(deadline=None, max_examples=60)
def test_leaving_one_out_tests_each_subject_alone(dataset):
    folds = folds_or_none(lambda: leave_one_subject_out(dataset))
    assert (folds is None) == (len(dataset.subjects) < 2)
    if folds is not None:
        check_folds(dataset, folds)
        assert tuple(fold.name for fold in folds) == dataset.subjects
        subject = {item.name: item.subject for item in dataset.items}
        assert all({subject[name] for name in fold.test} == {fold.name} for fold in folds)


def test_leaving_one_out_needs_to_know_everyone():
    with pytest.raises(DataError, match="faces: 2 of 3 items have no subject"):
        leave_one_subject_out(dataset_of([(0, "ann"), (0, ""), (0, "")]))


def test_the_official_split_has_its_roles_by_name():
    dataset = dataset_of([(0, "", "PublicTest"), (0, "", "PrivateTest"), (1, "", "Training")])
    expected = Fold("official", ("item-2",), ("item-1",), ("item-0",))
    assert official(dataset) == (expected,)


def test_without_a_test_split_the_validation_split_is_the_test():
    dataset = dataset_of([(0, "", "train"), (1, "", "val"), (2, "", "val")])
    assert official(dataset) == (Fold("official", ("item-0",), ("item-1", "item-2")),)


@pytest.mark.parametrize(
    ("splits", "message"),
    [([""], "no official"), (["train"], "no official"), (["train", "lab"], "split 'lab'")],
)
def test_a_dataset_without_an_official_split_says_so(splits, message):
    with pytest.raises(DataError, match=message):
        official(dataset_of([(0, "", split) for split in splits]))


def test_cross_dataset_keeps_the_common_classes_in_the_order_of_training():
    train = dataset_of([(0, ""), (1, ""), (2, ""), (-1, "")], "a", ("happy", "contempt", "sad"))
    test = dataset_of([(0, ""), (1, ""), (2, "")], "b", ("sad", "fear", "happy"))
    items = tuple(replace(item, votes=(1.0, 2.0, 3.0)) for item in test.items)
    crossed = cross_dataset(train, replace(test, items=items))
    assert crossed.label_names == ("happy", "sad")
    assert [(item.name, item.label) for item in crossed.train.items] == [
        ("item-0", 0),
        ("item-2", 1),
    ]
    assert [(item.label, item.votes) for item in crossed.test.items] == [
        (1, (3.0, 1.0)),
        (0, (3.0, 1.0)),
    ]
    assert crossed.train.label_names == crossed.test.label_names == crossed.label_names
    assert crossed.fold == Fold("a->b", ("item-0", "item-2"), ("item-0", "item-2"))


def test_datasets_without_common_classes_are_not_crossed():
    other = dataset_of([(0, "")], "b", ("bored", "sad", "keen"))
    with pytest.raises(DataError, match="faces and b share 1 classes"):
        cross_dataset(dataset_of([(0, "")]), other)


def test_bad_requests_are_refused():
    dataset = dataset_of([(0, "ann"), (0, "bob")])
    with pytest.raises(DataError, match="unknown protocol 'magic'"):
        make_folds(dataset, "magic", k=2, seed=0)
    with pytest.raises(DataError, match="at least 2"):
        k_fold(dataset, 1, 0)
    with pytest.raises(DataError, match="cannot be cut into 3 parts"):
        k_fold(dataset, 3, 0)


@given(dataset=KNOWN, seed=SEED, protocol=st.sampled_from(["k-fold", "loso", "holdout"]))
@settings(deadline=None, max_examples=60)
def test_folds_survive_the_file(dataset, seed, protocol, tmp_path_factory):
    folds = folds_or_none(lambda: make_folds(dataset, protocol, k=2, seed=seed))
    if folds is not None:
        file = tmp_path_factory.mktemp("protocol") / "p.json"
        write_protocol(file, dataset, folds)
        assert read_protocol(file, dataset) == folds


def test_folds_that_use_a_part_survive_the_file_and_odd_names_too(tmp_path: Path):
    items = [Item(name=name, source=Row(PIXELS, 0), label=0) for name in ("ü", "\udcff", "笑", "d")]
    dataset = Dataset(name="odd", label_names=LABELS, items=tuple(items))
    folds = (Fold("some", ("笑",), ("\udcff", "ü")),)
    write_protocol(tmp_path / "p.json", dataset, folds)
    assert read_protocol(tmp_path / "p.json", dataset) == folds


@pytest.fixture
def written(tmp_path: Path):
    dataset = dataset_of([(index % 3, f"s{index % 4}") for index in range(12)])
    write_protocol(tmp_path / "p.json", dataset, k_fold(dataset, 2, 0))
    return tmp_path / "p.json", dataset


CHANGES = {
    "another name": lambda d: replace(d, name="others"),
    "an item less": lambda d: replace(d, items=d.items[1:]),
    "another item": lambda d: replace(d, items=(replace(d.items[0], name="new"), *d.items[1:])),
    "another label": lambda d: replace(d, items=(replace(d.items[0], label=2), *d.items[1:])),
    "other classes": lambda d: replace(d, label_names=("a", "b", "c")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_dataset_is_refused_in_one_line(written, change):
    file, dataset = written
    with pytest.raises(DataError, match="made for another dataset") as caught:
        read_protocol(file, change(dataset))
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_the_order_of_items_is_no_change(written):
    file, dataset = written
    folds = read_protocol(file, replace(dataset, items=dataset.items[::-1]))
    assert folds == k_fold(dataset, 2, 0)


def fold_of(document, **changes):
    document["folds"][0] |= changes


DAMAGE = {
    "schema": (lambda d: d.update(schema="other/1"), "not a protocol of schema"),
    "no folds": (lambda d: d.pop("folds"), "damaged folds"),
    "no list": (lambda d: fold_of(d, test=3), "damaged folds"),
    "stranger": (lambda d: fold_of(d, test=["nobody"]), "no item 'nobody'"),
    "two sides": (lambda d: fold_of(d, train=d["folds"][0]["test"]), "is listed 2 times"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused(written, damage, message):
    file, dataset = written
    document = json.loads(file.read_text())
    damage(document)
    file.write_text(json.dumps(document))
    with pytest.raises(DataError, match=message):
        read_protocol(file, dataset)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"[1, 2]", b'{"schema": '])
def test_what_is_no_protocol_is_refused(tmp_path: Path, content):
    file = tmp_path / "p.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match="not a protocol"):
        read_protocol(file, dataset_of([(0, "")]))
