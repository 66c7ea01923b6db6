import pytest

from edge_fer.data.ck_plus import read_ck_plus
from edge_fer.data.dataset import read_pixels
from edge_fer.errors import DataError
from edge_fer.labels import EXPRESSIONS

PIXELS = " ".join(["7"] * 48 * 48)


@pytest.fixture
def sequence(pictures, lines):
    def write(name, frames, code):
        subject, take = name.split("/")
        stems = [f"{subject}_{take}_{number:08d}" for number in range(1, frames + 1)]
        pictures([f"{stem}.png" for stem in stems], f"cohn-kanade-images/{name}")
        if code is not None:
            lines(f"Emotion/{name}/{stems[-1]}_emotion.txt", f"   {code}")

    return write


def test_a_sequence_gives_a_neutral_frame_and_three_of_its_peak(sequence, tmp_path):
    sequence("S005/001", 11, "3.0000000e+00")
    dataset = read_ck_plus(tmp_path)
    assert [(item.name[-6:-4], dataset.label_names[item.label]) for item in dataset.items] == [
        ("01", "neutral"), ("09", "disgust"), ("10", "disgust"), ("11", "disgust"),
    ]  # fmt: skip
    assert dataset.subjects == ("S005",)


@pytest.mark.parametrize(
    ("code", "name"),
    [(0, "neutral"), (1, "angry"), (2, "contempt"), (3, "disgust"), (4, "fear"), (5, "happy"),
     (6, "sad"), (7, "surprise")],
)  # fmt: skip
def test_codes_are_the_official_ones(sequence, tmp_path, code, name):
    sequence("S010/002", 4, f"{code}.0000000e+00")
    assert EXPRESSIONS[read_ck_plus(tmp_path).items[-1].label] == name


def test_short_sequences_use_no_frame_twice(sequence, tmp_path):
    sequence("S005/001", 2, 5)
    sequence("S006/001", 1, 5)
    assert len(read_ck_plus(tmp_path)) == 3


def test_unlabelled_sequences_are_counted_and_bad_labels_named(sequence, tmp_path):
    sequence("S005/001", 4, 1)
    sequence("S005/002", 4, None)
    sequence("S006/001", 4, None)
    sequence("S007/001", 4, 9)
    sequence("S007/002", 4, "angry")
    sequence("S007/003", 4, "nan")
    dataset = read_ck_plus(tmp_path)
    assert len(dataset) == 4
    assert "S007_001_00000004_emotion.txt: 9 is outside 0..7" in dataset.problems[0]
    assert "S007_002_00000004_emotion.txt" in dataset.problems[1]
    assert "S007_003_00000004_emotion.txt" in dataset.problems[2]
    assert dataset.problems[3] == "2 sequences have no emotion label"


@pytest.mark.parametrize(
    ("kept", "missing"), [("Emotion", "cohn-kanade-images"), ("cohn-kanade-images", "Emotion")]
)
def test_half_of_the_official_layout_names_the_other_half(tmp_path, kept, missing):
    (tmp_path / kept).mkdir()
    with pytest.raises(DataError, match=f"no folder {missing}"):
        read_ck_plus(tmp_path)


def test_class_folders_have_the_subject_in_the_file_name(pictures, labels_by_name):
    root = pictures(["anger/S010_004_00000017.png", "contempt/S138_008_00000007.PNG", "x/1.png"])
    dataset = read_ck_plus(root)
    assert set(labels_by_name(dataset).values()) == {"angry", "contempt"}
    assert dataset.subjects == ("S010", "S138")
    assert len(dataset.problems) == 1


def test_a_csv_holds_the_pixels(lines):
    file = lines(
        "ckextended.csv", "emotion,pixels,Usage", f"8,{PIXELS},Training", f"7,{PIXELS},Training",
        f"6,{PIXELS[:-1]}9,PublicTest", "0,7 7,Training", f"1,{PIXELS[:-1]}x,Training",
    )  # fmt: skip
    dataset = read_ck_plus(file)
    assert [(i.name, EXPRESSIONS[i.label], i.split) for i in dataset.items] == [
        ("0000001", "contempt", "Training"),
        ("0000002", "neutral", "PublicTest"),
    ]
    assert read_pixels(dataset.items[1])[47, 47] == 9
    assert [problem.split(": ")[0] for problem in dataset.problems] == [
        f"{file}:{n}" for n in (2, 5, 6)
    ]


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_path_without_faces_is_refused_by_name(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=name):
        read_ck_plus(tmp_path / name)
