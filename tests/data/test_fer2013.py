import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.data.faces import repeats_in
from edge_fer.data.fer2013 import SPLITS, read_fer2013
from edge_fer.errors import DataError
from edge_fer.labels import FER2013_LABELS

HEADER = "emotion,pixels,Usage"
PIXELS = " ".join(["7"] * 48 * 48)
GOOD_ROW = f"0,{PIXELS},Training"


def csv_file(folder, *lines):
    file = folder / "faces.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def npz_file(folder, **changes):
    arrays = {
        "images": np.zeros((3, 48, 48), np.uint8),
        "labels": np.array([0, 3, 6], np.uint8),
        "usage": np.array([0, 1, 2], np.uint8),
    }
    file = folder / "faces.npz"
    np.savez(file, **{k: v for k, v in (arrays | changes).items() if v is not None})
    return file


def same_faces(a, b):
    return np.array_equal(a.images_NHW, b.images_NHW) and np.array_equal(a.labels_N, b.labels_N)


def sorted_by_class(faces):
    return faces.take(np.argsort(faces.labels_N, kind="stable"))


def write_class_folders(root, names, csv):
    for split, name in zip(SPLITS, names, strict=True):
        faces = read_fer2013(csv, split)
        for index, (image, label) in enumerate(zip(faces.images_NHW, faces.labels_N, strict=True)):
            folder = root / name / FER2013_LABELS[label]
            folder.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(folder / f"{index:04d}.png"), image)


def test_csv_rows_become_faces_in_their_order(tmp_path):
    ramp = " ".join(str(i % 256) for i in range(48 * 48))
    file = csv_file(tmp_path, HEADER, f"6,{ramp},Training", f"0,{PIXELS},PublicTest", GOOD_ROW)
    faces = read_fer2013(file, "Training")
    assert faces.labels_N.tolist() == [6, 0]
    assert faces.images_NHW.shape == (2, 48, 48)
    assert faces.images_NHW[0, 1, :3].tolist() == [48, 49, 50]
    assert faces.label_names == FER2013_LABELS


@pytest.mark.parametrize("split", SPLITS)
def test_npz_gives_the_same_faces_as_csv(tiny_fer2013, tmp_path, split):
    parts = [read_fer2013(tiny_fer2013, name) for name in SPLITS]
    npz = tmp_path / "same.npz"
    np.savez_compressed(
        npz,
        images=np.concatenate([part.images_NHW for part in parts]),
        labels=np.concatenate([part.labels_N for part in parts]).astype(np.uint8),
        usage=np.repeat([0, 1, 2], [len(part) for part in parts]).astype(np.uint8),
    )
    assert same_faces(read_fer2013(npz, split), read_fer2013(tiny_fer2013, split))


@pytest.mark.parametrize("names", [SPLITS, ("train", "validation", "test")])
def test_class_folders_give_the_same_faces_as_csv(tiny_fer2013, tmp_path, names):
    write_class_folders(tmp_path / "faces", names, tiny_fer2013)
    for split in SPLITS:
        expected = sorted_by_class(read_fer2013(tiny_fer2013, split))
        assert same_faces(read_fer2013(tmp_path / "faces", split), expected)


def test_a_folder_that_holds_the_csv_is_read_as_the_csv(tiny_fer2013):
    assert same_faces(
        read_fer2013(tiny_fer2013.parent, "PublicTest"), read_fer2013(tiny_fer2013, "PublicTest")
    )


@pytest.mark.parametrize(
    "row",
    [
        f"0,{PIXELS[:-2]},Training",
        f"0,{PIXELS} 7,Training",
        f"0,{PIXELS[:-1]}x,Training",
        f"0,{PIXELS[:-1]}1.5,Training",
        f"0,{PIXELS[:-1]}256,Training",
        f"0,{PIXELS[:-1]}-1,Training",
        f"0,{PIXELS[:-1]}{10**30},Training",
        "0,,Training",
        f"7,{PIXELS},Training",
        f"-1,{PIXELS},Training",
        f"1.5,{PIXELS},Training",
        f",{PIXELS},Training",
        f"happy,{PIXELS},Training",
    ],
    ids=lambda row: row[:6] + "..." + row[-14:],
)
def test_a_malformed_row_is_refused_with_file_and_line(tmp_path, row):
    file = csv_file(tmp_path, HEADER, GOOD_ROW, row)
    with pytest.raises(DataError) as caught:
        read_fer2013(file, "Training")
    assert str(caught.value).startswith(f"{file}:3: ")


def test_columns_may_come_in_another_order(tmp_path):
    file = csv_file(tmp_path, "Usage,emotion,pixels", f"Training,4,{PIXELS}")
    assert read_fer2013(file, "Training").labels_N.tolist() == [4]


@pytest.mark.parametrize("column", ["emotion", "pixels", "Usage"])
def test_a_missing_column_is_named(tmp_path, column):
    file = csv_file(tmp_path, HEADER.replace(column, "other"), GOOD_ROW)
    with pytest.raises(DataError, match=column) as caught:
        read_fer2013(file, "Training")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"emotion,pixels,Usage\n0,\xff\xfe,Training\n", b"\x89PNG\r\n\x1a\n" * 9]
)
def test_a_file_that_is_no_csv_is_refused_by_name(tmp_path, content):
    file = tmp_path / "faces.csv"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_fer2013(file, "Training")
    assert str(file) in str(caught.value)


def test_a_split_without_faces_is_refused(tmp_path):
    with pytest.raises(DataError, match="PublicTest"):
        read_fer2013(csv_file(tmp_path, HEADER, GOOD_ROW), "PublicTest")
    usage = np.zeros(3, np.uint8)
    with pytest.raises(DataError, match="PublicTest"):
        read_fer2013(npz_file(tmp_path, usage=usage), "PublicTest")


def test_an_unknown_split_lists_the_known_ones(tiny_fer2013):
    with pytest.raises(DataError) as caught:
        read_fer2013(tiny_fer2013, "test")
    assert all(split in str(caught.value) for split in SPLITS)


def test_a_missing_path_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        read_fer2013(tmp_path / "nowhere.csv", "Training")


@pytest.mark.parametrize(
    "changes",
    [
        {"usage": None},
        {"labels": np.array([7, 7, 7], np.uint8)},
        {"labels": np.array([-1, -1, -1], np.int64)},
        {"labels": np.array([0, 1], np.uint8)},
        {"images": np.zeros((2, 48, 48), np.uint8)},
        {"images": np.zeros((3, 47, 48), np.uint8)},
        {"images": np.zeros((3, 48, 48), np.float32)},
        {"usage": np.zeros(9, np.uint8)},
        {"labels": np.array([None, None, None])},
    ],
    ids=[
        "no-usage",
        "label-7",
        "label-minus-1",
        "few-labels",
        "few-images",
        "47x48",
        "float",
        "long-usage",
        "pickle",
    ],
)
def test_a_malformed_npz_is_refused_by_name(tmp_path, changes):
    file = npz_file(tmp_path, **changes)
    with pytest.raises(DataError) as caught:
        read_fer2013(file, "Training")
    assert str(file) in str(caught.value)


def random_npz(folder, *, compressed):
    rng = np.random.default_rng(0)
    file = folder / "faces.npz"
    images = rng.integers(0, 40, (3, 48, 48), np.uint8)
    save = np.savez_compressed if compressed else np.savez
    save(file, images=images, labels=np.zeros(3, np.uint8), usage=np.zeros(3, np.uint8))
    return file


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_npz_is_refused(tmp_path, compressed, kept):
    file = random_npz(tmp_path, compressed=compressed)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(DataError):
        read_fer2013(file, "Training")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("start", [400, 1000, 1500, 2000])
def test_an_npz_with_damaged_faces_is_refused(tmp_path, compressed, start):
    file = random_npz(tmp_path, compressed=compressed)
    whole = file.read_bytes()
    damage = bytes(255 - byte for byte in whole[start : start + 16])
    file.write_bytes(whole[:start] + damage + whole[start + 16 :])
    with pytest.raises(DataError):
        read_fer2013(file, "Training")


def test_a_bare_npy_array_named_npz_is_refused(tmp_path):
    file = tmp_path / "faces.npz"
    with file.open("wb") as stream:
        np.save(stream, np.zeros((3, 48, 48), np.uint8))
    with pytest.raises(DataError):
        read_fer2013(file, "Training")


@pytest.mark.parametrize("content", ["47x48", "text", "empty"])
def test_a_bad_picture_in_a_class_folder_is_refused_by_name(tmp_path, content):
    folder = tmp_path / "train" / "happy"
    folder.mkdir(parents=True)
    bad = folder / "bad.png"
    if content == "47x48":
        cv2.imwrite(str(bad), np.zeros((48, 47), np.uint8))
    else:
        bad.write_text("no picture" if content == "text" else "")
    with pytest.raises(DataError) as caught:
        read_fer2013(tmp_path, "Training")
    assert str(bad) in str(caught.value)


def test_other_files_in_a_class_folder_are_passed_over(tmp_path):
    folder = tmp_path / "train" / "happy"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "face.png"), np.zeros((48, 48), np.uint8))
    (folder / "Thumbs.db").write_text("x")
    assert read_fer2013(tmp_path, "Training").labels_N.tolist() == [3]


def test_a_folder_without_the_split_is_refused(tmp_path):
    (tmp_path / "train" / "happy").mkdir(parents=True)
    with pytest.raises(DataError, match="PrivateTest"):
        read_fer2013(tmp_path, "PrivateTest")
    with pytest.raises(DataError, match="no faces"):
        read_fer2013(tmp_path, "Training")


VALID_CSV = "\n".join([HEADER, GOOD_ROW, f"3,{PIXELS},Training"]).encode()


@given(
    start=st.one_of(st.integers(0, 40), st.integers(0, len(VALID_CSV))),
    removed=st.integers(0, 60),
    inserted=st.one_of(
        st.binary(max_size=30), st.sampled_from([b",", b'"', b"\n", b"\r", b"-", b" 300 ", b"\0"])
    ),
)
@settings(deadline=None, max_examples=150)
def test_a_corrupt_csv_is_refused_or_gives_valid_faces(tmp_path_factory, start, removed, inserted):
    file = tmp_path_factory.getbasetemp() / "corrupt.csv"
    file.write_bytes(VALID_CSV[:start] + inserted + VALID_CSV[start + removed :])
    try:
        faces = read_fer2013(file, "Training")
    except DataError as error:
        assert str(file) in str(error)
    else:
        assert faces.images_NHW.dtype == np.uint8
        assert faces.images_NHW.shape == (len(faces.labels_N), 48, 48)
        assert set(faces.labels_N.tolist()) <= set(range(7))


@pytest.mark.data
def test_the_real_splits_have_their_published_sizes(fer2013_file):
    sizes = [len(read_fer2013(fer2013_file, split)) for split in SPLITS]
    assert sizes == [28_709, 3_589, 3_589]


@pytest.mark.data
def test_the_real_test_splits_repeat_known_numbers_of_training_faces(fer2013_file):
    training = read_fer2013(fer2013_file, "Training")
    leaks = {s: int(repeats_in(training, read_fer2013(fer2013_file, s)).sum()) for s in SPLITS[1:]}
    assert leaks == {"PublicTest": 280, "PrivateTest": 288}
