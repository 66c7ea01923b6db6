import numpy as np
import pytest

from edge_fer.data.affectnet import read_affectnet
from edge_fer.errors import DataError

HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
    "expression,valence,arousal"
)


def row(name, expression):
    return f"{name},1,2,30,40,1.5;2.5;3.5,{expression},-0.1,0.2"


def test_lists_name_pictures_and_expressions(pictures, lines, labels_by_name):
    lines("training.csv", HEADER, row("689/a.jpg", 1), row("689/b.JPG", 7))
    lines("validation.csv", row("12/ß.png", 0))
    root = pictures(["689/a.jpg", "689/b.JPG", "12/ß.png"], "Manually_Annotated_Images")
    dataset = read_affectnet(root)
    assert labels_by_name(dataset) == {
        "689/a.jpg": "happy",
        "689/b.JPG": "contempt",
        "12/ß.png": "neutral",
    }
    assert dataset.splits == ("train", "val")
    assert dataset.problems == ()


def test_lists_may_be_in_their_own_folder(pictures, lines):
    lines("Manually_Annotated_file_lists/training.csv", HEADER, row("1/a.jpg", 6))
    assert len(read_affectnet(pictures(["Manually_Annotated/1/a.jpg"]))) == 1


def test_what_shows_no_expression_is_counted_and_bad_rows_are_named(pictures, lines):
    file = lines(
        "training.csv", HEADER, row("1/a.jpg", 6), row("1/b.jpg", 10), row("1/c.jpg", 8),
        row("1/c.jpg", 8), row("1/a.jpg", 11), row("1/a.jpg", "x"), row("1/gone.jpg", 1),
        row("1/a.jpg", 6), row("1/" + "n" * 5000 + ".jpg", 1), row("1/a.txt", 1),
    )  # fmt: skip
    root = pictures(["1/a.jpg", "1/a.txt"], "Manually_Annotated_Images")
    dataset = read_affectnet(root)
    assert len(dataset) == 1
    assert dataset.problems[0] == f"{file}:6: expression 11 is outside 0..10"
    assert dataset.problems[1] == f"{file}:7: expression is 'x', not a whole number"
    assert dataset.problems[2].endswith("gone.jpg: no such picture")
    assert dataset.problems[4].endswith("a.txt: not a kind of picture that is read")
    assert dataset.problems[5] == "3 faces are of no class: no face 1, none 2"
    assert dataset.problems[6] == "1/a.jpg: listed 2 times, read once"


def test_the_newer_layout_has_a_file_per_annotation(pictures, labels_by_name):
    root = pictures(["train_set/images/0.jpg", "train_set/images/10.jpg", "val_set/images/2.jpg"])
    root = pictures([f"val_set/images/{n}.jpg" for n in (3, 4, 5, 6)])
    for split in ("train_set", "val_set"):
        (root / split / "annotations").mkdir()
    np.save(root / "train_set/annotations/0_exp.npy", np.array("3"))
    np.save(root / "train_set/annotations/10_exp.npy", np.array(7))
    np.save(root / "val_set/annotations/3_exp.npy", np.array("8"))
    np.save(root / "val_set/annotations/4_exp.npy", np.array([1, 2]))
    np.save(root / "val_set/annotations/5_exp.npy", np.array("happy"))
    (root / "val_set/annotations/6_exp.npy").write_bytes(b"")
    dataset = read_affectnet(root)
    assert labels_by_name(dataset) == {
        "train_set/images/0.jpg": "surprise",
        "train_set/images/10.jpg": "contempt",
    }
    assert [name in line for name, line in zip("2456", dataset.problems, strict=False)] == [
        True
    ] * 4
    assert dataset.problems[-1] == "1 faces are of no class: none 1"


@pytest.mark.parametrize("name", ["nowhere", "empty", "half"])
def test_another_layout_is_refused_by_name(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "half" / "train_set").mkdir(parents=True)
    with pytest.raises(DataError, match=name):
        read_affectnet(tmp_path / name)


def test_a_list_without_its_columns_is_refused(lines, tmp_path):
    lines("training.csv", "a,b", "1,2")
    with pytest.raises(DataError, match=r"training\.csv: no column subDirectory_filePath"):
        read_affectnet(tmp_path)
