"""Splits as data: who is trained on and who is tested, by item name.

A protocol is a list of folds. Its file names the dataset that it was made for, with a hash of the
names and labels, so that it cannot be used on another by mistake.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.data.dataset import Dataset, Item
from edge_fer.errors import DataError
from edge_fer.files import write_atomic

SCHEMA = "edge-fer/protocol/1"
_FOLDS_NAMED = 10
HOLDOUT_FRACTIONS = (0.8, 0.1, 0.1)
_ROLES = {
    "train": ("train", "training"),
    "validation": ("publictest", "validation", "val", "valid"),
    "test": ("privatetest", "test", "testing"),
}


@dataclass(frozen=True)
class Fold:
    """One training and one test set, as item names in sorted order.

    Attributes:
        name: What sets it apart in its protocol, e.g. the subject that is left out.
        train: Learnt from.
        test: Measured on.
        validation: Chosen by; empty if the protocol has no such set.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    validation: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CrossDataset:
    """Training on one dataset and testing on another, over the classes that both have.

    Attributes:
        label_names: The common classes, in the training dataset's order.
        train: Items of those classes, labelled in that vocabulary.
        test: The same of the other dataset.
    """

    label_names: tuple[str, ...]
    train: Dataset
    test: Dataset

    @property
    def fold(self) -> Fold:
        """The same as names: ``train`` are items of one dataset, ``test`` of the other."""
        name = f"{self.train.name}->{self.test.name}"
        return Fold(name, _names(self.train.items), _names(self.test.items))


def official(dataset: Dataset) -> tuple[Fold, ...]:
    """Returns the dataset's own split as one fold.

    A dataset without a test split that is public is tested on its validation split.

    Raises:
        DataError: It has no split, or one of another name than training, validation and test.
    """
    parts: dict[str, tuple[str, ...]] = {}
    for split in dataset.splits:
        items = [item for item in dataset.items if item.split == split]
        parts[_role(dataset.name, split)] = _names(items)
    validation = parts.get("validation", ())
    test = parts.get("test") or validation
    if "train" not in parts or not test:
        found = ", ".join(dataset.splits) or "none"
        raise DataError(f"{dataset.name}: no official training and test split (splits: {found})")
    return (Fold("official", parts["train"], test, validation if "test" in parts else ()),)


def k_fold(dataset: Dataset, k: int, seed: int) -> tuple[Fold, ...]:
    """Cuts a dataset into ``k`` parts of about one size, each the test set of one fold.

    All items of a subject are in one part. Items without a subject are spread so that every part
    has its share of every class.

    Raises:
        DataError: ``k`` is below 2, or there are fewer subjects (or items) than folds.
    """
    if k < 2:
        raise DataError(f"{k} folds: a protocol needs at least 2")
    parts = _deal(dataset, [1 / k] * k, seed)
    return tuple(
        Fold(f"fold-{index + 1}", _rest(dataset, part), part) for index, part in enumerate(parts)
    )


def leave_one_subject_out(dataset: Dataset) -> tuple[Fold, ...]:
    """Tests on each subject in turn, after training on all others.

    Raises:
        DataError: An item has no subject, or there are fewer than two.
    """
    of_subject: dict[str, list[Item]] = defaultdict(list)
    for item in dataset.items:
        of_subject[item.subject].append(item)
    if "" in of_subject:
        nameless = len(of_subject[""])
        raise DataError(f"{dataset.name}: {nameless} of {len(dataset)} items have no subject")
    if len(of_subject) < 2:
        raise DataError(f"{dataset.name}: leaving one out needs two subjects")
    tests = {subject: _names(of_subject[subject]) for subject in sorted(of_subject)}
    return tuple(Fold(subject, _rest(dataset, test), test) for subject, test in tests.items())


def holdout(
    dataset: Dataset, seed: int, fractions: Sequence[float] = HOLDOUT_FRACTIONS
) -> tuple[Fold, ...]:
    """Cuts a dataset once, by subjects where they are known, else with every class in its share.

    Args:
        dataset: What to cut.
        seed: Of the draw.
        fractions: Of training, validation and test, or of training and test; they add up to 1.

    Raises:
        DataError: The fractions are not such, or a part would be empty.
    """
    if len(fractions) not in (2, 3) or min(fractions) <= 0 or abs(sum(fractions) - 1) > 1e-6:
        raise DataError(f"fractions {list(fractions)} are not 2 or 3 positive parts of 1")
    train, *validation, test = _deal(dataset, fractions, seed)
    return (Fold("holdout", train, test, *validation),)


def cross_dataset(train: Dataset, test: Dataset) -> CrossDataset:
    """Re-labels two datasets in the classes that both have; items of other classes are left out.

    Raises:
        DataError: They share fewer than two classes.
    """
    names = tuple(name for name in train.label_names if name in test.label_names)
    if len(names) < 2:
        raise DataError(f"{train.name} and {test.name} share {len(names)} classes; 2 are needed")
    return CrossDataset(label_names=names, train=_relabel(train, names), test=_relabel(test, names))


#: Protocols of one dataset by name; each is given the number of folds and the seed.
PROTOCOLS: dict[str, Callable[[Dataset, int, int], tuple[Fold, ...]]] = {
    "official": lambda dataset, _k, _seed: official(dataset),
    "loso": lambda dataset, _k, _seed: leave_one_subject_out(dataset),
    "k-fold": k_fold,
    "holdout": lambda dataset, _k, seed: holdout(dataset, seed),
}


def make_folds(dataset: Dataset, protocol: str, *, k: int, seed: int) -> tuple[Fold, ...]:
    """Returns the folds of a protocol by its name in ``PROTOCOLS``.

    Raises:
        DataError: There is no such protocol, or the dataset cannot be split that way.
    """
    if protocol not in PROTOCOLS:
        raise DataError(f"unknown protocol {protocol!r}; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol](dataset, k, seed)


def write_protocol(path: Path, dataset: Dataset, folds: Sequence[Fold]) -> None:
    """Writes folds and what they were made for, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    document = {
        "schema": SCHEMA,
        **_identity(dataset),
        "folds": [_fold_document(dataset, fold) for fold in folds],
    }
    write_atomic(path, lambda file: file.write_text(json.dumps(document, indent=1) + "\n"))


def read_protocol(path: Path, dataset: Dataset) -> tuple[Fold, ...]:
    """Reads folds for a dataset.

    Raises:
        DataError: The file is missing or damaged, was made for another dataset, names an item that
            does not exist, or has an item on two sides of a fold.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a protocol ({error})") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise DataError(f"{path}: not a protocol of schema {SCHEMA}")
    _check_identity(path, document, dataset)
    try:
        folds = tuple(_parse_fold(dataset, fold) for fold in document["folds"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged folds ({type(error).__name__}: {error})") from error
    known = {item.name for item in dataset.items}
    for fold in folds:
        _check_fold(path, fold, known)
    return folds


def find_fold(folds: Sequence[Fold], name: str, source: Path) -> Fold:
    """Returns the fold of that name; without a name, the only one.

    Raises:
        DataError: There is none, or more than one and no name.
    """
    found = [fold for fold in folds if name in ("", fold.name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(fold.name for fold in folds[:_FOLDS_NAMED])
    more = ", ..." if len(folds) > _FOLDS_NAMED else ""
    raise DataError(
        f"{source}: {f'no fold {name!r}' if name else 'give a fold'}; it has {known}{more}"
    )


def _role(dataset: str, split: str) -> str:
    for role, names in _ROLES.items():
        if split.lower() in names:
            return role
    raise DataError(f"{dataset}: split {split!r} is neither training, validation nor test")


def _names(items: Sequence[Item]) -> tuple[str, ...]:
    return tuple(sorted(item.name for item in items))


def _rest(dataset: Dataset, *parts: Sequence[str]) -> tuple[str, ...]:
    taken = {name for part in parts for name in part}
    return tuple(sorted(item.name for item in dataset.items if item.name not in taken))


def _relabel(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    old = [dataset.label_names.index(name) for name in names]
    items = tuple(
        replace(
            item,
            label=old.index(item.label),
            votes=tuple(item.votes[index] for index in old) if item.votes else (),
        )
        for item in dataset.items
        if item.label in old
    )
    return replace(dataset, label_names=names, items=items)


def _deal(dataset: Dataset, fractions: Sequence[float], seed: int) -> list[tuple[str, ...]]:
    """Deals subjects, the largest first, then items without a subject, class by class."""
    units = _units(dataset, np.random.default_rng(seed))
    if len(units) < len(fractions):
        raise DataError(
            f"{dataset.name}: {len(units)} subjects (or items without one) cannot be cut into "
            f"{len(fractions)} parts"
        )
    per_label = Counter(item.label for (item, *more) in units if not item.subject)
    due = [fraction * len(dataset) for fraction in fractions]
    due_of_label = {label: [f * n for f in fractions] for label, n in per_label.items()}
    parts: list[list[Item]] = [[] for _ in fractions]
    for left, unit in zip(range(len(units), 0, -1), units, strict=True):
        empty = [index for index, part in enumerate(parts) if not part]
        open_parts = empty if len(empty) >= left else range(len(parts))
        wanted = [0.0] * len(parts) if unit[0].subject else due_of_label[unit[0].label]
        chosen = max(open_parts, key=lambda index: (wanted[index], due[index]))
        parts[chosen] += unit
        due[chosen] -= len(unit)
        wanted[chosen] -= 1
    return [_names(part) for part in parts]


def _units(dataset: Dataset, rng: np.random.Generator) -> list[list[Item]]:
    """What must stay together, in the order of dealing; the seed decides between equals."""
    items = sorted(dataset.items, key=lambda item: item.name)
    of_subject: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.subject:
            of_subject[item.subject].append(item)
    groups = [of_subject[subject] for subject in sorted(of_subject)]
    singles = [[item] for item in items if not item.subject]
    groups = [groups[index] for index in rng.permutation(len(groups))]
    singles = [singles[index] for index in rng.permutation(len(singles))]
    return sorted(groups, key=len, reverse=True) + sorted(singles, key=lambda one: one[0].label)


def _identity(dataset: Dataset) -> dict[str, Any]:
    lines = sorted(
        f"{item.name}\0{dataset.label_names[item.label] if item.label >= 0 else ''}\n"
        for item in dataset.items
    )
    digest = hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
    return {"dataset": dataset.name, "n": len(dataset), "sha256": digest}


def _check_identity(path: Path, document: Mapping[str, Any], dataset: Dataset) -> None:
    mine = _identity(dataset)
    for key, what in (("dataset", "dataset"), ("n", "number of items"), ("sha256", "sha256")):
        if document.get(key) != mine[key]:
            raise DataError(
                f"{path}: made for another dataset: its {what} is {document.get(key)!r}, "
                f"this one's is {mine[key]!r}"
            )


def _fold_document(dataset: Dataset, fold: Fold) -> dict[str, Any]:
    rest = _rest(dataset, fold.test, fold.validation)
    return {
        "name": fold.name,
        "test": fold.test,
        "validation": fold.validation,
        "train": "rest" if fold.train == rest else fold.train,
    }


def _parse_fold(dataset: Dataset, document: Mapping[str, Any]) -> Fold:
    test, validation = tuple(document["test"]), tuple(document["validation"])
    train = document["train"]
    names = _rest(dataset, test, validation) if train == "rest" else tuple(train)
    return Fold(str(document["name"]), names, test, validation)


def _check_fold(path: Path, fold: Fold, known: set[str]) -> None:
    counts = Counter((*fold.train, *fold.test, *fold.validation))
    for name, count in counts.items():
        if name not in known:
            raise DataError(f"{path}: fold {fold.name}: no item {name!r} in the dataset")
        if count > 1:
            raise DataError(f"{path}: fold {fold.name}: {name!r} is listed {count} times")
