import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.data.raf_db import read_raf_db
from edge_fer.errors import DataError

LIST = "EmoLabel/list_patition_label.txt"


@pytest.fixture
def official(pictures, lines):
    lines(LIST, "train_00001.jpg 5", "train_00002.jpg 1", "test_0001.jpg 7")
    names = ["train_00001_aligned.jpg", "train_00002_aligned.jpg", "test_0001_aligned.jpg"]
    return pictures(names, "Image/aligned")


def test_the_list_names_aligned_images(official, labels_by_name):
    dataset = read_raf_db(official)
    assert labels_by_name(dataset) == {
        "Image/aligned/train_00001_aligned.jpg": "sad",
        "Image/aligned/train_00002_aligned.jpg": "surprise",
        "Image/aligned/test_0001_aligned.jpg": "neutral",
    }
    assert [item.split for item in dataset.items] == ["train", "train", "test"]
    assert dataset.problems == ()


def test_the_folder_above_basic_will_do(official, tmp_path):
    (tmp_path / "RAF").mkdir()
    (tmp_path / "RAF" / "basic").symlink_to(official)
    assert len(read_raf_db(tmp_path / "RAF")) == 3


def test_without_aligned_images_the_originals_are_read(pictures, lines):
    lines(LIST, "train_00001.jpg 4")
    dataset = read_raf_db(pictures(["train_00001.jpg"], "Image/original"))
    assert dataset.items[0].name == "Image/original/train_00001.jpg"


def test_bad_lines_and_missing_images_are_problems(pictures, lines):
    file = lines(
        LIST, "train_00001.jpg 4", "train_00002.jpg 8", "train_00003.jpg", "train_00004.jpg x", "",
        "valid_00005.jpg 1", "train_00006.jpg 1", "train_00001.jpg 4", "train_00007.jpg ²",
    )  # fmt: skip
    dataset = read_raf_db(pictures(["train_00001_aligned.jpg"], "Image/aligned"))
    assert len(dataset) == 1
    starts = [f"{file}:{number}:" for number in (2, 3, 4, 6, 9)]
    assert [
        start for start in starts if any(p.startswith(start) for p in dataset.problems)
    ] == starts
    assert any("train_00006.jpg: no such picture" in problem for problem in dataset.problems)
    assert dataset.problems[-1].endswith("train_00001_aligned.jpg: listed 2 times, read once")


def test_hard_faces_are_tagged(official, lines):
    lines("EmoLabel/rafdb_occlusion_list.txt", "test_0001_aligned 6 mask")
    lines("EmoLabel/val_raf_db_list.txt", "6/test_0001_aligned.jpg", "3/test_0009_aligned.jpg")
    lines("val_raf_db_list_45.txt", "6/test_0001_aligned.jpg")
    dataset = read_raf_db(official)
    assert [item.tags for item in dataset.items] == [(), (), ("occlusion", "pose-30", "pose-45")]
    assert dataset.problems == ("list pose-30: 1 images are not in the dataset, e.g. test_0009",)


def test_class_folders_are_numbered_or_named(pictures, labels_by_name):
    root = pictures(["train/1/a.jpg", "train/6/b.JPG", "test/Happiness/ç.png", "train/8/d.jpg"])
    dataset = read_raf_db(root)
    assert labels_by_name(dataset) == {
        "test/Happiness/ç.png": "happy",
        "train/1/a.jpg": "surprise",
        "train/6/b.JPG": "angry",
    }
    assert dataset.splits == ("test", "train")
    assert len(dataset.problems) == 1


@pytest.mark.parametrize("name", ["nowhere", "file", "empty"])
def test_another_layout_is_refused_by_name(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=name):
        read_raf_db(tmp_path / name)


def test_a_list_without_images_is_refused(lines, tmp_path):
    lines(LIST, "train_00001.jpg 4")
    with pytest.raises(DataError, match="Image/aligned"):
        read_raf_db(tmp_path)
    (tmp_path / "Image" / "aligned").mkdir(parents=True)
    with pytest.raises(DataError, match="nothing of raf-db"):
        read_raf_db(tmp_path)


@given(content=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_list_is_read_or_refused(tmp_path_factory, content):
    root = tmp_path_factory.getbasetemp() / "any-raf"
    (root / "EmoLabel").mkdir(parents=True, exist_ok=True)
    (root / "Image" / "aligned").mkdir(parents=True, exist_ok=True)
    (root / "Image" / "aligned" / "train_1_aligned.jpg").touch()
    (root / LIST).write_text(f"train_1.jpg 1\n{content}", encoding="utf-8")
    assert len(read_raf_db(root)) == 1
