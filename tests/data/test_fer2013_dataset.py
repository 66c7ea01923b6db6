import cv2
import numpy as np
import pytest

from edge_fer.data.dataset import read_pixels
from edge_fer.data.fer2013 import SPLITS, read_fer2013, read_fer2013_dataset
from edge_fer.errors import DataError
from edge_fer.labels import FER2013_LABELS

HEADER = "emotion,pixels,Usage"
PIXELS = " ".join(["7"] * 48 * 48)
OFFICIAL = {
    "Training": [3995, 436, 4097, 7215, 4830, 3171, 4965],
    "PublicTest": [467, 56, 496, 895, 653, 415, 607],
    "PrivateTest": [491, 55, 528, 879, 594, 416, 626],
}


def counts(dataset, split):
    labels = [item.label for item in dataset.items if item.split == split]
    return np.bincount(labels, minlength=7).tolist()


def test_the_rows_of_a_csv_become_items_of_all_splits(tiny_fer2013):
    dataset = read_fer2013_dataset(tiny_fer2013)
    assert len(dataset) == 80
    assert dataset.splits == SPLITS
    assert dataset.label_names == FER2013_LABELS
    for split in SPLITS:
        faces = read_fer2013(tiny_fer2013, split)
        items = [item for item in dataset.items if item.split == split]
        assert [item.label for item in items] == faces.labels_N.tolist()
        assert np.array_equal([read_pixels(item) for item in items], faces.images_NHW)


def test_bad_rows_are_problems_and_the_others_keep_their_row_numbers(lines):
    file = lines(
        "fer2013.csv", HEADER, f"0,{PIXELS},Training", f"9,{PIXELS},Training", "1,7 7,Training",
        f"2,{PIXELS},Elsewhere", f"3,{PIXELS},PrivateTest",
    )  # fmt: skip
    dataset = read_fer2013_dataset(file)
    assert [(item.name, item.label) for item in dataset.items] == [("0000000", 0), ("0000004", 3)]
    assert [line.split(": ")[0] for line in dataset.problems] == [f"{file}:{n}" for n in (3, 4, 5)]


def test_an_npz_is_read_like_the_csv(tmp_path):
    images = np.arange(3, dtype=np.uint8).repeat(48 * 48).reshape(3, 48, 48)
    arrays = {"images": images, "labels": [0, 8, 6], "usage": [0, 0, 2]}
    np.savez(tmp_path / "fer2013.npz", **arrays)
    dataset = read_fer2013_dataset(tmp_path)
    assert [(item.name, item.split) for item in dataset.items] == [
        ("0000000", "Training"),
        ("0000002", "PrivateTest"),
    ]
    assert read_pixels(dataset.items[1])[0, 0] == 2
    assert "row 1: label 8" in dataset.problems[0]


@pytest.mark.parametrize(
    "changes",
    [{"labels": [0, 1]}, {"usage": [[0, 0, 0]]}, {"images": np.zeros((3, 47, 48), np.uint8)}],
)
def test_arrays_that_do_not_fit_together_are_refused(tmp_path, changes):
    arrays = {"images": np.zeros((3, 48, 48), np.uint8), "labels": [0] * 3, "usage": [0] * 3}
    np.savez(tmp_path / "fer2013.npz", **(arrays | changes))
    with pytest.raises(DataError, match=r"fer2013\.npz"):
        read_fer2013_dataset(tmp_path)


def test_class_folders_are_listed_without_opening_a_picture(tmp_path):
    for name in ("train/happy/1.png", "test/angry/2.JPG", "other/sad/3.png", "train/x/4.png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("not read yet")
    dataset = read_fer2013_dataset(tmp_path)
    assert {item.name: item.split for item in dataset.items} == {
        "test/angry/2.JPG": "PrivateTest",
        "train/happy/1.png": "Training",
    }
    assert len(dataset.problems) == 2


def test_a_folder_of_color_pictures_of_any_size_is_no_problem_yet(tmp_path):
    (tmp_path / "train" / "happy").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "train" / "happy" / "1.png"), np.zeros((9, 9, 3), np.uint8))
    assert read_fer2013_dataset(tmp_path).problems == ()


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_path_without_faces_is_refused_by_name(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=name):
        read_fer2013_dataset(tmp_path / name)


@pytest.mark.data
def test_the_real_classes_have_their_official_counts(fer2013_file):
    dataset = read_fer2013_dataset(fer2013_file)
    assert {split: counts(dataset, split) for split in SPLITS} == OFFICIAL
    assert dataset.problems == ()


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n", b"emotion,pixels,Usage\n0,\xff,Training\n", b""]
)
def test_what_is_no_fer2013_csv_is_refused_by_name(tmp_path, content):
    (tmp_path / "faces.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"faces\.csv"):
        read_fer2013_dataset(tmp_path / "faces.csv")


def test_an_unknown_usage_in_an_npz_is_a_problem(tmp_path):
    arrays = {"images": np.zeros((2, 48, 48), np.uint8), "labels": [0, 0], "usage": [0, 3]}
    np.savez(tmp_path / "fer2013.npz", **arrays)
    dataset = read_fer2013_dataset(tmp_path)
    assert len(dataset) == 1
    assert "row 1: usage 3" in dataset.problems[0]


def test_an_npz_without_its_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "fer2013.npz", images=np.zeros((2, 48, 48), np.uint8))
    with pytest.raises(DataError, match="not a FER2013 npz"):
        read_fer2013_dataset(tmp_path)
