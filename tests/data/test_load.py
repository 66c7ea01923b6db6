import cv2
import numpy as np
import pytest

from edge_fer.data.dataset import Dataset, Item, Row
from edge_fer.data.load import faces_named, faces_of, fold_of
from edge_fer.data.spec import read_faces
from edge_fer.errors import DataError

LABELS = ("happy", "sad")


def dataset(n, *, splits=("",), subjects=0, size=(8, 8)):
    pixels = np.arange(n, dtype=np.uint8)[:, None, None] * np.ones((1, *size), np.uint8)
    items = tuple(
        Item(
            name=f"{i:03d}",
            source=Row(pixels, i),
            label=i % 2,
            subject=f"s{i % subjects}" if subjects else "",
            split=splits[i % len(splits)],
        )
        for i in range(n)
    )
    return Dataset(name="made", label_names=LABELS, items=items)


def test_official_splits_are_kept():
    made = dataset(30, splits=("train", "val", "test"))
    faces = faces_of(made, "PrivateTest")
    assert faces.images_NHW[:, 0, 0].tolist() == list(range(2, 30, 3))
    assert faces.labels_N.tolist() == [i % 2 for i in range(2, 30, 3)]
    assert faces.label_names == LABELS


def test_a_missing_validation_split_is_cut_from_training_by_subject():
    fold = fold_of(dataset(200, splits=("train", "train", "train", "test"), subjects=40))
    assert len(fold.test) == 50
    assert 10 <= len(fold.validation) <= 20
    subjects = [{int(n) % 40 for n in part} for part in (fold.train, fold.validation)]
    assert not subjects[0] & subjects[1]


def test_a_dataset_without_splits_is_cut_the_same_way_each_time():
    made = dataset(100)
    fold = fold_of(made)
    assert fold == fold_of(made)
    assert sorted((*fold.train, *fold.validation, *fold.test)) == [i.name for i in made.items]
    assert (len(fold.train), len(fold.validation), len(fold.test)) == (80, 10, 10)


@pytest.mark.parametrize(("size", "side"), [((8, 8), 8), ((8, 6), 128), ((300, 200), 128)])
def test_faces_keep_a_square_size_and_else_become_square(size, side):
    assert faces_of(dataset(10, size=size), "train").images_NHW.shape[1:] == (side, side)


def test_flow_is_read_as_it_is_and_pictures_become_gray():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 28, 28, 3)).astype(np.uint8)
    items = tuple(Item(name=f"{i}", source=Row(pixels, i), label=i % 2) for i in range(10))
    flow = Dataset(name="made", label_names=LABELS, items=items, flow=True)
    assert np.array_equal(faces_named(flow, ["3", "7"], "some").images_NHW, pixels[[3, 7]])
    pictures = Dataset(name="made", label_names=LABELS, items=items)
    assert faces_named(pictures, ["3"], "one").images_NHW.shape == (1, 28, 28)


def test_an_unknown_split_is_refused():
    with pytest.raises(DataError, match="no split 'dev'"):
        faces_of(dataset(10), "dev")


def test_a_folder_of_ones_own_faces_can_be_read(tmp_path):
    for label in LABELS:
        (tmp_path / label).mkdir()
        for i in range(20):
            picture = np.full((20, 20, 3), 10 * i, np.uint8)
            assert cv2.imwrite(str(tmp_path / label / f"{i}.png"), picture)
    parts = [read_faces(f"folder:{tmp_path}", s) for s in ("Training", "PublicTest", "PrivateTest")]
    assert sum(map(len, parts)) == 40
    assert all(part.label_names == LABELS for part in parts)
    assert {tuple(np.bincount(part.labels_N)) for part in parts[1:]} == {(2, 2)}
