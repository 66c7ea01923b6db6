import pytest

from edge_fer.data.lab_faces import (
    read_disfa,
    read_imed,
    read_ised,
    read_jaffe,
    read_mug,
    read_oulu_casia,
)
from edge_fer.errors import DataError

READERS = [read_jaffe, read_mug, read_oulu_casia, read_ised, read_disfa, read_imed]


def test_jaffe_has_subject_and_class_in_its_file_names(pictures, labels_by_name):
    dataset = read_jaffe(pictures(["KA.AN1.39.tiff", "sub/UY.NE3.140.TIFF", "KM.XX1.1.tiff"]))
    assert labels_by_name(dataset) == {"KA.AN1.39.tiff": "angry", "sub/UY.NE3.140.TIFF": "neutral"}
    assert dataset.subjects == ("KA", "UY")
    assert dataset.problems == ("KM.XX1.1.tiff: not named like KA.AN1.39.tiff",)


@pytest.mark.parametrize(
    ("code", "name"),
    [("AN", "angry"), ("DI", "disgust"), ("FE", "fear"), ("HA", "happy"), ("NE", "neutral"),
     ("SA", "sad"), ("SU", "surprise")],
)  # fmt: skip
def test_jaffe_codes(pictures, labels_by_name, code, name):
    assert set(labels_by_name(read_jaffe(pictures([f"KA.{code}1.1.tiff"]))).values()) == {name}


def test_mug_takes_the_middle_of_a_sequence(pictures, labels_by_name):
    frames = [f"001/anger/take000/img_{n:04d}.jpg" for n in range(9)]
    pictures(frames)
    dataset = read_mug(pictures(["002/neutral/take000/img_0000.jpg", "002/mixed/take000/1.jpg"]))
    assert labels_by_name(dataset) == dict.fromkeys(frames[3:6], "angry") | {
        "002/neutral/take000/img_0000.jpg": "neutral"
    }
    assert dataset.subjects == ("001", "002")
    assert "SUBJECT/EXPRESSION" in dataset.problems[0]


def test_oulu_takes_the_first_frame_and_the_last_three(pictures):
    frames = [f"VL_Acropped/Strong/P001/Anger/{n:03d}.jpeg" for n in range(12)]
    pictures(frames)
    dataset = read_oulu_casia(pictures(["NI_Acropped/Dark/P002/Surprise/000.jpeg"]))
    by_subject = {
        subject: [
            (item.name[-8:-5], dataset.label_names[item.label], item.tags)
            for item in dataset.items
            if item.subject == subject
        ]
        for subject in dataset.subjects
    }
    vis = ("vis", "strong")
    assert by_subject == {
        "P001": [("000", "neutral", vis), *((n, "angry", vis) for n in ("009", "010", "011"))],
        "P002": [("000", "surprise", ("nir", "dark"))],
    }


def test_oulu_reads_one_version_of_a_sequence_the_cropped_one(pictures):
    pictures([f"A_OriginalImg/VL/Weak/P001/Fear/{n}.jpeg" for n in range(5)])
    root = pictures([f"B_Cropped/VL_Acropped/Weak/P001/Fear/{n}.jpeg" for n in range(5)])
    dataset = read_oulu_casia(root)
    assert {item.name.split("/")[0] for item in dataset.items} == {"B_Cropped"}
    assert len(dataset) == 4
    assert "the same sequence as" in dataset.problems[0]


def test_oulu_may_be_given_by_the_folder_of_a_camera(pictures):
    root = pictures(["NI/Weak/p001/Fear/1.jpeg", "NI/Weak/Fear/1.jpeg"])
    dataset = read_oulu_casia(root / "NI")
    assert [(item.tags, item.subject) for item in dataset.items] == [(("nir", "weak"), "P001")]
    assert len(dataset.problems) == 1


@pytest.mark.parametrize("read", [read_ised, read_disfa, read_imed])
def test_class_folders_with_subjects(pictures, labels_by_name, read):
    root = pictures(["happiness/S01_001.jpg", "S02/Surprise/1.jpg", "happy-sad/S01_1.jpg"])
    dataset = read(root)
    assert labels_by_name(dataset) == {
        "happiness/S01_001.jpg": "happy",
        "S02/Surprise/1.jpg": "surprise",
    }
    assert dataset.subjects == ("S01", "S02")
    assert len(dataset.problems) == 1


def test_disfa_as_handed_out_is_refused_with_the_reason(tmp_path):
    (tmp_path / "ActionUnit_Labels").mkdir()
    with pytest.raises(DataError, match="action units do not say"):
        read_disfa(tmp_path)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["nowhere", "file", "empty"])
def test_a_path_without_faces_is_refused_by_name(tmp_path, read, name):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=name):
        read(tmp_path / name)
