from collections import Counter

import numpy as np
import pytest

from edge_fer.data.dataset import Clip, read_pixels
from edge_fer.data.megc2019 import read_megc2019
from edge_fer.errors import DataError
from edge_fer.labels import MICRO_3


def npz(folder, **changes):
    arrays = {
        "flow": np.arange(3, dtype=np.uint8).repeat(28 * 28 * 3).reshape(3, 28, 28, 3),
        "label": np.array([0, 1, 2], np.uint8),
        "subject": np.array(["sub01", "006", "s01"]),
        "dataset": np.array(["casme2", "samm", "smic"]),
        "name": np.array(["a.jpg", "b.jpg", "c.jpg"]),
        "label_names": np.array(["surprise", "negative", "positive"]),
    }
    file = folder / "megc2019_flow28.npz"
    np.savez(file, **{k: v for k, v in (arrays | changes).items() if v is not None})
    return file


def test_flow_images_are_rows_of_an_array(tmp_path):
    npz(tmp_path)
    dataset = read_megc2019(tmp_path)
    assert [(i.name, i.subject, MICRO_3[i.label]) for i in dataset.items] == [
        ("casme2/a.jpg", "casme2/sub01", "surprise"),
        ("samm/b.jpg", "samm/006", "negative"),
        ("smic/c.jpg", "smic/s01", "positive"),
    ]
    assert dataset.flow
    assert dataset.where(lambda item: True).flow
    assert read_pixels(dataset.items[2]).shape == (28, 28, 3)
    assert read_pixels(dataset.items[2]).max() == 2


def test_the_same_subject_name_in_two_datasets_is_two_people(tmp_path):
    assert len(read_megc2019(npz(tmp_path, subject=np.array(["1", "1", "1"]))).subjects) == 3


def test_rows_of_no_class_are_problems(tmp_path):
    file = npz(tmp_path, label=np.array([0, 3, 2]), dataset=np.array(["casme2", "samm", "mmew"]))
    dataset = read_megc2019(file)
    assert len(dataset) == 1
    assert [f"row {n}" in line for n, line in zip((1, 2), dataset.problems, strict=True)] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"flow": None},
        {"flow": np.zeros((3, 28, 28), np.uint8)},
        {"flow": np.zeros((3, 28, 28, 3), np.float32)},
        {"label": np.zeros(2, np.uint8)},
        {"subject": np.array([None] * 3)},
    ],
)
def test_a_malformed_npz_is_refused_by_name(tmp_path, changes):
    with pytest.raises(DataError, match=r"megc2019_flow28\.npz"):
        read_megc2019(npz(tmp_path, **changes))


def test_a_damaged_npz_is_refused(tmp_path):
    file = npz(tmp_path)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(DataError):
        read_megc2019(file)


@pytest.mark.parametrize("header", [(), ("Dataset,Subject,Filename,Class",)])
def test_the_list_finds_clips_in_the_three_datasets(pictures, lines, header):
    file = lines(
        "combined_3class_gt.csv", *header, "casme2,sub01,EP02_01f,1", "samm,006,006_1_2,0",
        "smic,s01,s1_ne_01,2", "casme2,sub02,EP02_01f,1", "samm,006,006_1_3,0",
        "smic,s01,s1_ne_01,x", "mmew,s01,s1_ne_01,1", "smic,s01,s1_ne_01,3",
    )  # fmt: skip
    pictures(["img1.jpg", "img2.jpg"], "CASME2/sub01/EP02_01f")
    pictures(["006_05562.jpg"], "SAMM/006/006_1_2")
    root = pictures(["image1.bmp"], "SMIC_all_cropped/HS/s1/micro/surprise/s1_ne_01")
    dataset = read_megc2019(root)
    assert [(i.subject, MICRO_3[i.label]) for i in dataset.items] == [
        ("casme2/sub01", "positive"),
        ("samm/006", "negative"),
        ("smic/s01", "surprise"),
    ]
    clip = dataset.items[0].source
    assert isinstance(clip, Clip)
    assert len(clip.files) == 2
    first = 5 + len(header)
    assert (
        dataset.problems[0] == f"{file}:{first - 1}: no folder of frames for casme2 sub02/EP02_01f"
    )
    assert len(dataset.problems) == 5


def test_missing_files_are_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        read_megc2019(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"combined_3class_gt\.csv"):
        read_megc2019(tmp_path)


@pytest.mark.data
def test_the_real_composite_has_its_published_size(data_root):
    dataset = read_megc2019(data_root / "micro")
    assert (len(dataset), len(dataset.subjects), dataset.problems) == (442, 68, ())
    assert Counter(MICRO_3[item.label] for item in dataset.items) == {
        "negative": 250,
        "positive": 109,
        "surprise": 83,
    }
    assert Counter(item.tags[0] for item in dataset.items) == {
        "casme2": 145,
        "samm": 133,
        "smic": 164,
    }
