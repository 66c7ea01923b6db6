import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.data.dataset import Item, read_pixels
from edge_fer.data.reading import (
    class_folder_items,
    cropped_first,
    dataset_of,
    first_and_last,
    natural_key,
    pictures_by_folder,
)
from edge_fer.errors import DataError

LABELS = ("happy", "sad")


@given(st.lists(st.integers(0, 10**6), unique=True), st.text("ab_", min_size=1), st.randoms())
def test_numbered_names_sort_by_number(numbers, prefix, rng: random.Random):
    names = [f"{prefix}{number}.jpg" for number in sorted(numbers)]
    shuffled = names.copy()
    rng.shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == names


@given(st.lists(st.text(max_size=8), unique=True))
def test_any_names_have_one_order(names):
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


def test_what_systems_leave_behind_is_passed_over(pictures):
    root = pictures(["a/2.png", "a/10.PNG", "a/._2.png", ".cache/1.png", "__MACOSX/a/1.png"])
    (root / "a" / "Thumbs.db").write_text("x")
    names = [file.name for file in pictures_by_folder(root)[root / "a"]]
    assert names == ["2.png", "10.PNG"]
    assert len(pictures_by_folder(root)) == 1


def test_linked_folders_are_followed_once(pictures):
    root = pictures(["data/happy/1.png"])
    (root / "view").mkdir()
    (root / "view" / "happy").symlink_to(root / "data" / "happy")
    (root / "data" / "happy" / "loop").symlink_to(root / "data")
    found = pictures_by_folder(root / "view")
    assert [file.name for files in found.values() for file in files] == ["1.png"]


@pytest.mark.parametrize(
    ("file", "subject"),
    [
        ("happy/1.png", ""),
        ("happy/img_1.png", ""),
        ("happy/S010_004_17.png", "S010"),
        ("happy/sub01/1.png", "sub01"),
        ("happy/7/1.png", "7"),
        ("SN001/happy/1.png", "SN001"),
        ("train/happy/1.png", ""),
        ("sad/S01/Happy/1.png", "S01"),
    ],
)
def test_a_picture_is_of_its_innermost_class_and_its_nearest_subject(pictures, file, subject):
    root = pictures([file])
    (item,) = class_folder_items(root, LABELS)
    assert (item.name, item.label, item.subject) == (file, 0, subject)
    assert read_pixels(item).shape == (8, 8)


def test_pictures_outside_of_class_folders_are_counted_by_folder(pictures):
    root = pictures(["happy/1.png", "mixed/1.png", "mixed/2.png", "3.png"])
    dataset = dataset_of("x", LABELS, root, class_folder_items(root, LABELS))
    assert len(dataset) == 1
    assert dataset.problems == (
        f"{root}: 1 pictures in no class folder",
        f"{root / 'mixed'}: 2 pictures in no class folder",
    )


def test_an_item_that_comes_again_is_kept_once_and_counted():
    item = Item(name="1", source=Path("1.png"), label=0)
    dataset = dataset_of("x", LABELS, Path("x"), [item, item, "bad", item])
    assert dataset.items == (item,)
    assert dataset.problems == ("bad", "1: listed 3 times, read once")


def test_nothing_found_is_refused_with_the_first_problem():
    with pytest.raises(DataError, match=r"^here: nothing of x found here; bad$"):
        dataset_of("x", LABELS, Path("here"), ["bad", "worse"])


@pytest.mark.parametrize(
    ("count", "first", "peak"), [(1, [], [0]), (2, [0], [1]), (9, [0], [6, 7, 8])]
)
def test_a_sequence_gives_its_first_and_last_frames(count, first, peak):
    frames = [Path(str(index)) for index in range(count)]
    found_first, found_peak = first_and_last(frames, 3)
    assert [found_first] == [frames[i] for i in first] or (found_first is None and not first)
    assert found_peak == [frames[i] for i in peak]


def test_cropped_versions_come_first():
    root = Path("crops")
    folders = [root / "raw/1", root / "Cropped/1", root / "2"]
    assert cropped_first(root, folders) == [folders[1], folders[0], folders[2]]
