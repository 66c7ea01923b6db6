"""Re-expressing a dataset in another vocabulary."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from edge_fer.data.dataset import Dataset, Item
from edge_fer.errors import DataError
from edge_fer.labels import canonical_label, micro_label


def in_vocabulary(dataset: Dataset, label_names: Sequence[str]) -> Dataset:
    """Re-expresses a dataset in the given classes.

    A class keeps its name where the vocabulary has it, else takes its canonical name (``Happiness``
    becomes ``happy``), else the micro-expression class it belongs to (``disgust`` becomes
    ``negative``). Items of any other class are dropped; unlabelled ones stay.

    Args:
        dataset: As its reader returned it.
        label_names: The vocabulary, in the order of a model's outputs.

    Returns:
        The dataset, with one more line in ``problems`` where items were dropped.

    Raises:
        DataError: ``label_names`` is empty or names a class twice.
    """
    names = tuple(label_names)
    if not names or len(set(names)) < len(names):
        raise DataError(f"not a vocabulary: {', '.join(names) or 'no classes'}")
    places = places_of(dataset.label_names, names)
    kept = [item for item in dataset.items if item.label < 0 or places[item.label] >= 0]
    dropped = Counter(
        dataset.label_names[item.label]
        for item in dataset.items
        if item.label >= 0 and places[item.label] < 0
    )
    return replace(
        dataset,
        label_names=names,
        items=tuple(_moved(item, places, len(names)) for item in kept),
        problems=dataset.problems + _summary(dropped, names),
    )


def places_of(label_names: Sequence[str], vocabulary: Sequence[str]) -> tuple[int, ...]:
    """Returns where each class is in a vocabulary, -1 if nowhere; see ``in_vocabulary``."""
    return tuple(_place(name, tuple(vocabulary)) for name in label_names)


def _place(name: str, names: tuple[str, ...]) -> int:
    for known_as in (name, canonical_label(name), micro_label(name)):
        if known_as in names:
            return names.index(known_as)
    return -1


def _moved(item: Item, places: tuple[int, ...], count: int) -> Item:
    label = places[item.label] if item.label >= 0 else -1
    votes = [0.0] * (count if item.votes else 0)
    for place, vote in zip(places, item.votes, strict=False):
        if place >= 0:
            votes[place] += vote
    return replace(item, label=label, votes=tuple(votes))


def _summary(dropped: Counter[str], names: tuple[str, ...]) -> tuple[str, ...]:
    if not dropped:
        return ()
    classes = ", ".join(f"{name} {count}" for name, count in sorted(dropped.items()))
    return (f"{dropped.total()} items are of no class among {', '.join(names)}: {classes}",)
