import pytest

from edge_fer.data.sfew import read_sfew
from edge_fer.errors import DataError


@pytest.mark.parametrize(
    "names",
    [("Train", "Val", "Test"), ("Train_Aligned_Faces", "Val_Aligned_Faces", "Test_Aligned_Faces")],
)
def test_class_folders_of_each_split(pictures, labels_by_name, names):
    train, val, test = names
    files = [f"{train}/Angry/Film_001305240_00000021.png", f"{val}/Neutral/ü.PNG", f"{test}/1.png"]
    dataset = read_sfew(pictures(files))
    assert labels_by_name(dataset) == {files[0]: "angry", files[1]: "neutral"}
    assert dataset.splits == ("train", "val")
    assert dataset.problems[0].endswith("1 pictures in no class folder")


def test_nested_folders_of_the_same_name_are_one_split(pictures):
    root = pictures(["Train_Aligned_Faces/Train_Aligned_Faces/Sad/1.png"])
    assert read_sfew(root).splits == ("train",)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_path_without_faces_is_refused_by_name(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=name):
        read_sfew(tmp_path / name)
