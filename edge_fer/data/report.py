"""What is in a dataset, and what is wrong with it: counts, sizes, repeats, leaks, a preview.

Shape suffixes: N items, H height, W width.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import cv2
import numpy as np

from edge_fer.data.clips import apex_index, read_clip
from edge_fer.data.dataset import Clip, Dataset, Item, Row, read_pixels
from edge_fer.data.duplicates import (
    NEAR_BITS,
    Likeness,
    exact_likeness,
    near_likeness,
    perceptual_hasher,
    pixel_hash,
)
from edge_fer.errors import DataError, MissingExtraError

SCHEMA = "edge-fer/data-info/1"
UNEVEN = 10
_BATCH = 128
_MAX_THREADS = 8
_TILE_PX = 64
_GAP_PX = 4
_NAME_PX = 150
_PAPER, _INK = (255, 255, 255), (0, 0, 0)
_Hasher = Callable[[np.ndarray], int]


@dataclass(frozen=True, slots=True)
class _Look:
    """What is kept of an item once its pixels are gone."""

    width: int = 0
    height: int = 0
    exact: bytes = b""
    near: int | None = None
    problem: str = ""


def info_document(
    dataset: Dataset,
    *,
    near: bool | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Reads every item of a dataset once and reports on it.

    Args:
        dataset: What to look at.
        near: Also look for near duplicates among images; None: if ImageHash is installed.
        on_progress: Called with the number of items done and of all.

    Returns:
        ``edge-fer/data-info/1``.

    Raises:
        MissingExtraError: ``near`` is true and ImageHash is not installed.
    """
    hasher = _hasher(near)
    looks = []
    for look in _look_at_all(dataset.items, hasher):
        looks.append(look)
        if on_progress and (len(looks) % _BATCH == 0 or len(looks) == len(dataset)):
            on_progress(len(looks), len(dataset))
    document = {
        "schema": SCHEMA,
        "data": dataset.name,
        **_counts(dataset),
        "size_px": _sizes(looks),
        "subjects": _subjects(dataset),
        "unreadable": [look.problem for look in looks if look.problem],
        "problems": list(dataset.problems),
        **_repeats(dataset.items, looks, with_near=hasher is not None),
    }
    return {**document, "verdict": _verdict(document)}


def contact_sheet(dataset: Dataset, *, per_class: int = 10, seed: int = 0) -> np.ndarray:
    """Draws some items of every class, drawn by lot, on one row per class.

    Clips show their apex, or their middle if it is not annotated. What cannot be read is passed
    over.

    Returns:
        uint8 BGR ``[H, W, 3]``.

    Raises:
        DataError: Nothing in the dataset can be read.
    """
    rng = np.random.default_rng(seed)
    of_label: dict[int, list[Item]] = defaultdict(list)
    for item in dataset.items:
        of_label[item.label].append(item)
    rows, shown = [], 0
    for label in (*range(len(dataset.label_names)), *([-1] if -1 in of_label else [])):
        items = of_label[label]
        tiles = _tiles([items[index] for index in rng.permutation(len(items))], per_class)
        name = dataset.label_names[label] if label >= 0 else "no label"
        rows.append(_sheet_row(name, len(items), tiles, per_class))
        shown += len(tiles)
    if not shown:
        raise DataError(f"{dataset.name}: none of {len(dataset)} items can be read")
    return np.vstack(rows)


def _hasher(near: bool | None) -> _Hasher | None:
    if near is False:
        return None
    try:
        return perceptual_hasher()
    except MissingExtraError:
        if near:
            raise
        return None


def _look_at_all(items: Sequence[Item], hasher: _Hasher | None) -> Iterator[_Look]:
    """Reads on a few threads, arrays on one: with nothing to decode, two are slower."""
    decoded = any(not isinstance(item.source, Row) for item in items)
    batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
    pool = ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1) if decoded else 1)
    try:
        for looks in pool.map(lambda batch: [_look_at(item, hasher) for item in batch], batches):
            yield from looks
    finally:
        pool.shutdown(cancel_futures=True)


def _look_at(item: Item, hasher: _Hasher | None) -> _Look:
    is_clip = isinstance(item.source, Clip)
    try:
        pixels = read_clip(item) if is_clip else read_pixels(item)
    except DataError as error:
        reason = str(error) if item.name in str(error) else f"{item.name}: {error}"
        return _Look(problem=" ".join(reason.splitlines()))
    height, width = pixels.shape[1:3] if is_clip else pixels.shape[:2]
    gray = pixels if is_clip else _gray(pixels)
    near = hasher(gray) if hasher and not is_clip else None
    return _Look(width=width, height=height, exact=pixel_hash(gray), near=near)


def _gray(pixels: np.ndarray) -> np.ndarray:
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)


def _counts(dataset: Dataset) -> dict[str, Any]:
    clips = sum(isinstance(item.source, Clip) for item in dataset.items)
    names = dataset.splits + (("",) if any(not item.split for item in dataset.items) else ())
    per_split = {name: [item for item in dataset.items if item.split == name] for name in names}
    return {
        "n": len(dataset),
        "images": len(dataset) - clips,
        "clips": clips,
        "labels": list(dataset.label_names),
        "unlabelled": sum(item.label < 0 for item in dataset.items),
        "per_class": _per_class(dataset.items, dataset.label_names),
        "splits": [
            {"name": name, "n": len(part), "per_class": _per_class(part, dataset.label_names)}
            for name, part in per_split.items()
        ],
        "tags": dict(Counter(tag for item in dataset.items for tag in item.tags)),
    }


def _per_class(items: Sequence[Item], label_names: Sequence[str]) -> dict[str, int]:
    counts = Counter(item.label for item in items)
    return {name: counts[index] for index, name in enumerate(label_names)}


def _sizes(looks: Sequence[_Look]) -> dict[str, Any] | None:
    seen = [look for look in looks if not look.problem]
    if not seen:
        return None
    return {
        "width": _spread([look.width for look in seen]),
        "height": _spread([look.height for look in seen]),
    }


def _spread(values: Sequence[int]) -> dict[str, float]:
    return {"min": min(values), "median": float(np.median(values)), "max": max(values)}


def _subjects(dataset: Dataset) -> dict[str, int]:
    splits = defaultdict(set)
    for item in dataset.items:
        if item.subject and item.split:
            splits[item.subject].add(item.split)
    return {
        "n": len(dataset.subjects),
        "items_without": sum(not item.subject for item in dataset.items),
        "in_several_splits": sum(len(names) > 1 for names in splits.values()),
    }


def _repeats(items: Sequence[Item], looks: Sequence[_Look], *, with_near: bool) -> dict[str, Any]:
    """``duplicates`` and ``leakage``: all items that can be read, near ones among images only."""
    rows = [index for index, look in enumerate(looks) if not look.problem]
    exact = exact_likeness([looks[index].exact for index in rows])
    labels = [items[index].label for index in rows]
    duplicates: dict[str, Any] = {
        "compared": len(rows),
        "exact": {
            "repeats": int(exact.repeats().sum()),
            "label_conflicts": _conflicts(exact, labels),
        },
        "near": None,
    }
    leaks = _leaks(exact, [items[index].split for index in rows])
    if not with_near:
        return {"duplicates": duplicates, "leakage": [{**leak, "near": None} for leak in leaks]}
    hashes = [(index, value) for index in rows if (value := looks[index].near) is not None]
    likeness = near_likeness([value for _, value in hashes])
    duplicates["near"] = {
        "threshold_bits": NEAR_BITS,
        "compared": len(hashes),
        "repeats": int(likeness.repeats().sum()),
    }
    near = {
        (leak["reference"], leak["split"]): leak["exact"]
        for leak in _leaks(likeness, [items[index].split for index, _ in hashes])
    }
    leakage = [{**leak, "near": near.get((leak["reference"], leak["split"]))} for leak in leaks]
    return {"duplicates": duplicates, "leakage": leakage}


def _conflicts(exact: Likeness, labels: Sequence[int]) -> int:
    """Counts the pictures that occur with more than one label."""
    pairs = {
        (int(key), label) for key, label in zip(exact.keys_N, labels, strict=True) if label >= 0
    }
    return sum(count > 1 for count in Counter(key for key, _ in pairs).values())


def _leaks(likeness: Likeness, splits: Sequence[str]) -> list[dict[str, Any]]:
    """Counts the items of each split that are like one of a split that is learnt from."""
    split_N = np.array(splits)
    sizes = Counter(split for split in splits if split)
    ranked = sorted(sizes, key=lambda name: (not name.lower().startswith("train"), -sizes[name]))
    return [
        {
            "reference": reference,
            "split": split,
            "n": sizes[split],
            "exact": int((likeness.also_in(split_N == reference) & (split_N == split)).sum()),
        }
        for reference, split in combinations(ranked, 2)
    ]


def _verdict(document: dict[str, Any]) -> list[str]:
    return [
        *_damage_sentences(document),
        *_leak_sentences(document),
        *_repeat_sentences(document["duplicates"], _noun(document)),
        *_people_sentences(document),
        *_class_sentences(document),
    ] or ["nothing to object to"]


def _noun(document: dict[str, Any]) -> str:
    return "items" if document["clips"] else "images"


def _damage_sentences(document: dict[str, Any]) -> Iterator[str]:
    if not document["n"]:
        yield "there is nothing in it"
    if document["unreadable"]:
        n, bad = document["n"], len(document["unreadable"])
        yield f"{bad:,} of {n:,} {_noun(document)} cannot be read: mend or remove them"
    if document["problems"]:
        yield f"{len(document['problems']):,} files or rows were left out: see the problems"


def _leak_sentences(document: dict[str, Any]) -> Iterator[str]:
    noun = _noun(document)
    for leak in document["leakage"]:
        exact, near = leak["exact"], (leak["near"] or 0) - leak["exact"]
        some = f"of {leak['n']:,} {leak['split']} {noun}"
        if exact:
            more = f" ({near:,} more are near duplicates)" if near > 0 else ""
            yield (
                f"{exact:,} {some} also occur in {leak['reference']}{more}: "
                "report accuracy without them too"
            )
        elif near > 0:
            yield (
                f"{near:,} {some} are near duplicates of {noun} in {leak['reference']}: "
                "look at them, and report accuracy without them too"
            )


def _repeat_sentences(duplicates: dict[str, Any], noun: str) -> Iterator[str]:
    exact, near = duplicates["exact"], duplicates["near"]
    if exact["repeats"]:
        yield f"{exact['repeats']:,} of {duplicates['compared']:,} {noun} repeat an earlier one"
    if exact["label_conflicts"]:
        yield f"{exact['label_conflicts']:,} pictures occur with more than one label"
    if near is None:
        yield "near duplicates were not looked for: --near, with pip install 'edge-fer[data]'"
    elif near["repeats"] > exact["repeats"]:
        yield (
            f"{near['repeats']:,} of {near['compared']:,} images are an earlier one or within "
            f"{near['threshold_bits']} bits of it"
        )


def _people_sentences(document: dict[str, Any]) -> Iterator[str]:
    subjects = document["subjects"]
    if subjects["in_several_splits"]:
        count = subjects["in_several_splits"]
        yield f"{count:,} of {subjects['n']:,} subjects are in more than one split"
    if document["n"] and not subjects["n"]:
        yield "subjects are not known: no split of it can be shown to be subject-independent"
    elif subjects["n"] and subjects["items_without"]:
        yield f"{subjects['items_without']:,} items have no subject"


def _class_sentences(document: dict[str, Any]) -> Iterator[str]:
    if document["unlabelled"]:
        yield f"{document['unlabelled']:,} items have no label"
    empty = [name for name, count in document["per_class"].items() if not count]
    if empty and document["n"]:
        yield f"no items of class {', '.join(empty)}"
    counts = {name: count for name, count in document["per_class"].items() if count}
    if counts and max(counts.values()) >= UNEVEN * min(counts.values()):
        most, least = (
            max(counts, key=lambda name: counts[name]),
            min(counts, key=counts.__getitem__),
        )
        yield (
            f"{most} has {counts[most]:,} items and {least} {counts[least]:,}: report UAR beside "
            "accuracy"
        )


def _tiles(items: Sequence[Item], wanted: int) -> list[np.ndarray]:
    tiles: list[np.ndarray] = []
    for item in items:
        if len(tiles) == wanted:
            break
        try:
            tiles.append(_tile(_picture(item)))
        except DataError:
            continue
    return tiles


def _picture(item: Item) -> np.ndarray:
    if not isinstance(item.source, Clip):
        return read_pixels(item)
    frames, apex = read_clip(item), apex_index(item)
    return np.asarray(frames[len(frames) // 2 if apex is None else apex])


def _tile(pixels: np.ndarray) -> np.ndarray:
    """Scales a picture into a square, with its proportions."""
    colour = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR) if pixels.ndim == 2 else pixels
    height, width = colour.shape[:2]
    scale = _TILE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaled = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
    square = np.full((_TILE_PX, _TILE_PX, 3), _PAPER, np.uint8)
    top, left = (_TILE_PX - size[1]) // 2, (_TILE_PX - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = scaled
    return square


def _sheet_row(name: str, count: int, tiles: Sequence[np.ndarray], per_class: int) -> np.ndarray:
    step = _TILE_PX + _GAP_PX
    row = np.full((step, _NAME_PX + per_class * step, 3), _PAPER, np.uint8)
    for line, text in enumerate((name, f"{count:,}")):
        at = (_GAP_PX, _TILE_PX // 2 + 18 * line)
        cv2.putText(row, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    for index, tile in enumerate(tiles):
        left = _NAME_PX + index * step
        row[:_TILE_PX, left : left + _TILE_PX] = tile
    return row
