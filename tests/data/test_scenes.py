import re
import zipfile

import cv2
import numpy as np
import pytest

from edge_fer.data.scenes import PARTS, SETS, part_of, read_scenes
from edge_fer.errors import DataError


def jpeg(seed, shape=(24, 32)):
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def write_set(folder, name, files, rows=None):
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        if rows is not None:
            lines = ["file,img_w,img_h,x,y,w,h", *rows]
            archive.writestr("annotations.csv", "\n".join(lines) + "\n")


def test_parts_are_about_as_large_as_promised():
    names = [f"scene15_indoor/photo_{index}.jpg" for index in range(4000)]
    counts = [sum(part_of(name) == part for name in names) for part in PARTS]
    assert counts == pytest.approx([2800, 400, 800], rel=0.1)


def test_a_part_never_changes():
    names = ["facemask853/maksssksksss0.jpg", "scene15_indoor/a.jpg", "lfw_original150/Al_1.jpg"]
    assert [part_of(name) for name in names] == ["train", "test", "train"]


def test_photos_of_one_person_stay_together_in_both_sets():
    names = [
        f"{name}/Some_Body{person}_{index:04d}.jpg"
        for person in range(20)
        for name in ("lfw_original150", "lfw_deepfunneled250")
        for index in (1, 2)
    ]
    for start in range(0, len(names), 4):
        assert len({part_of(name) for name in names[start : start + 4]}) == 1


def test_every_photo_is_in_one_part(tmp_path):
    files = {f"{index}.jpg": jpeg(index) for index in range(20)}
    write_set(tmp_path, "scene15_indoor", files)
    names = [p.name for part in PARTS for p in read_scenes(tmp_path, part)["scene15_indoor"]]
    assert sorted(names) == sorted(f"scene15_indoor/{file}" for file in files)


def test_boxes_come_with_their_photo(tmp_path):
    stem = next(
        f"m{index}" for index in range(99) if part_of(f"facemask853/m{index}.jpg") == "train"
    )
    rows = [f"{stem}.jpg,32,24,1.5,2,3,4", f"{stem}.jpg,32,24,5,6,7,8"]
    write_set(tmp_path, "facemask853", {f"{stem}.jpg": jpeg(0)}, rows)
    (photo,) = read_scenes(tmp_path, "train")["facemask853"]
    assert photo.image_HW.shape == (24, 32)
    assert photo.boxes_N4.tolist() == [[1.5, 2, 3, 4], [5, 6, 7, 8]]
    assert np.isnan(photo.points_N52).all()


def test_a_photo_whose_box_is_wrong_is_left_out(tmp_path):
    (stem,) = SETS["facemask853"].excluded
    write_set(tmp_path, "facemask853", {f"{stem}.jpg": jpeg(0)}, [])
    assert not any(read_scenes(tmp_path, part)["facemask853"] for part in PARTS)


def test_without_any_set_it_says_what_it_looks_for(tmp_path):
    with pytest.raises(DataError, match=r"none of facemask853\.zip, .* is there"):
        read_scenes(tmp_path, "train")


def test_a_damaged_set_is_named(tmp_path):
    (tmp_path / "scene15_indoor.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match=re.escape("scene15_indoor.zip: not a readable set")):
        read_scenes(tmp_path, "train")


def test_a_picture_that_is_none_is_named(tmp_path):
    write_set(tmp_path, "scene15_indoor", {f"{index}.jpg": b"text" for index in range(20)})
    with pytest.raises(DataError, match=r"scene15_indoor/\d+\.jpg: not a readable picture"):
        read_scenes(tmp_path, "train")
