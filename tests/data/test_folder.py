import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.data.folder import read_csv, read_folder
from edge_fer.errors import DataError


def test_class_folders_of_any_name(pictures, labels_by_name):
    dataset = read_folder(pictures(["zufrieden/1.jpg", "böse/1.JPG", "böse/deep/er/2.png"]))
    assert dataset.label_names == ("böse", "zufrieden")
    assert labels_by_name(dataset) == {
        "böse/1.JPG": "böse",
        "böse/deep/er/2.png": "böse",
        "zufrieden/1.jpg": "zufrieden",
    }
    assert dataset.splits == ()


def test_class_folders_of_each_split(pictures):
    root = pictures(
        ["train/a/1.jpg", "Validation/b/1.jpg", "test/a/1.jpg", "spare/a/1.jpg", "train/2.jpg"]
    )
    dataset = read_folder(root)
    assert dataset.label_names == ("a", "b")
    assert {item.name: item.split for item in dataset.items} == {
        "train/a/1.jpg": "train",
        "Validation/b/1.jpg": "val",
        "test/a/1.jpg": "test",
    }
    assert len(dataset.problems) == 2


def test_a_class_may_be_called_test(pictures):
    assert read_folder(pictures(["test/1.jpg", "real/1.jpg"])).label_names == ("real", "test")


def test_an_empty_class_keeps_its_place(pictures):
    root = pictures(["b/1.jpg"])
    (root / "a").mkdir()
    assert read_folder(root).items[0].label == 1


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_classes_is_refused_by_name(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=name):
        read_folder(tmp_path / name)


def test_a_csv_lists_pictures_beside_it(pictures, lines):
    pictures(["faces/a.jpg", "faces/ñ.JPG", "/".join(["c", "c.png"])])
    file = lines(
        "list.csv", "split,path,label,subject", "Training,faces/a.jpg,10,p1", "dev,faces/ñ.JPG,9,",
    )  # fmt: skip
    dataset = read_csv(file)
    assert dataset.label_names == ("9", "10")
    assert [(i.name, i.label, i.subject, i.split) for i in dataset.items] == [
        ("faces/a.jpg", 1, "p1", "train"),
        ("faces/ñ.JPG", 0, "", "dev"),
    ]


def test_rows_that_cannot_be_used_are_problems(pictures, lines):
    pictures(["a.jpg"])
    file = lines("list.csv", "path,label", "a.jpg,x", "gone.jpg,x", "a.jpg,", ",x", "a.jpg,y")
    dataset = read_csv(file)
    assert len(dataset) == 1
    assert [part in line for part, line in zip(
        ("gone.jpg: no such picture", ":4: no label", ":5: no path", "listed 2 times"),
        dataset.problems, strict=True,
    )] == [True] * 4  # fmt: skip


@pytest.mark.parametrize("content", ["", "path\na.jpg\n", "path,label\n", "path,label\na.jpg,x\n"])
def test_a_csv_without_pictures_is_refused_by_name(tmp_path, content):
    file = tmp_path / "list.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=r"list\.csv"):
        read_csv(file)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["a.jpg", "b.jpg", "gone.jpg", ""]), st.text("xy ", max_size=2))
    )
)
def test_every_row_is_an_item_or_a_problem(tmp_path_factory, rows):
    root = tmp_path_factory.getbasetemp()
    for name in ("a.jpg", "b.jpg"):
        (root / name).touch()
    file = root / "any-list.csv"
    file.write_text("path,label\n" + "".join(f"{path},{label}\n" for path, label in rows))
    usable = [path for path, label in rows if path[:1] in ("a", "b") and label.strip()]
    if not usable:
        with pytest.raises(DataError):
            read_csv(file)
        return
    dataset = read_csv(file)
    assert {item.name for item in dataset.items} == set(usable)
    assert all(0 <= item.label < len(dataset.label_names) for item in dataset.items)
