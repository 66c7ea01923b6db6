import re
from pathlib import Path

import numpy as np
import pytest

from edge_fer.data.scenes import SETS, Photo
from edge_fer.detect.pool import cut_out, parse_detect_spec, read_pool
from edge_fer.errors import DataError

NONE = Path("yunet.onnx")


def test_a_specification_names_photos_and_perhaps_crops():
    assert parse_detect_spec("detect:a/b") == (Path("a/b"), "")
    assert parse_detect_spec("detect:a,fer2013:f.csv") == (Path("a"), "fer2013:f.csv")


@pytest.mark.parametrize("spec", ["fer2013:f.csv", "detect", "detect:", ""])
def test_anything_else_is_refused_in_one_line(spec):
    with pytest.raises(DataError, match="is not detect:FOLDER"):
        read_pool(spec, "train", NONE)


def test_a_cut_out_face_is_alone_and_where_it_was():
    boxes = np.array([[20.0, 20, 40, 50], [62, 20, 30, 30], [150, 100, 30, 36], [10, 150, 8, 8]])
    image = np.arange(200 * 200, dtype=np.uint8).reshape(200, 200)
    photo = Photo(
        name="p", image_HW=image, boxes_N4=boxes, points_N52=boxes[:, None, :2] + np.ones((4, 5, 2))
    )
    (face,) = cut_out([photo])
    x, y, w, h = face.boxes_N4[0]
    assert (w, h) == (30, 36)
    np.testing.assert_array_equal(
        face.image_HW[int(y) : int(y + h), int(x) : int(x + w)], image[100:136, 150:180]
    )
    np.testing.assert_allclose(face.points_N52[0] - (x, y), 1)


@pytest.mark.data
def test_the_real_sets_make_a_pool(some_photos, yunet_file, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_FER_CACHE", str(tmp_path / "cache"))
    heard = set()
    pool = read_pool(f"detect:{some_photos}", "train", yunet_file, lambda name, *_: heard.add(name))
    assert heard == set(SETS)
    assert len(pool.photos) == 6
    assert len(pool.portraits) >= 8
    assert all(np.isfinite(face.points_N52[0]).all() for face in pool.portraits[:8])
    assert pool.crops


@pytest.mark.data
def test_a_folder_without_one_kind_says_which(some_photos, yunet_file, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGE_FER_CACHE", str(tmp_path / "cache"))
    (some_photos / "facemask853.zip").unlink()
    with pytest.raises(DataError, match=re.escape("no photos of the kind 'boxes' in train")):
        read_pool(f"detect:{some_photos}", "train", yunet_file)


@pytest.mark.data
def test_crops_are_pasted_by_the_teachers_boxes(
    some_photos, yunet_file, fer2013_file, monkeypatch, tmp_path
):
    monkeypatch.setenv("EDGE_FER_CACHE", str(tmp_path / "cache"))
    with np.load(fer2013_file) as whole:
        few = {key: whole[key] for key in ("images", "labels", "usage")}
    rows = np.concatenate([np.flatnonzero(few["usage"] == usage)[:6] for usage in range(3)])
    np.savez(tmp_path / "fer2013.npz", **{key: values[rows] for key, values in few.items()})
    pool = read_pool(f"detect:{some_photos},fer2013:{tmp_path}/fer2013.npz", "test", yunet_file)
    assert 3 <= len(pool.crops) <= 6
    for crop in pool.crops:
        x, _, w, h = crop.boxes_N4[0]
        assert 24 < w < 60
        assert 24 < h < 72
        assert abs(x + w / 2 - 24) < 10
        assert crop.points_N52[0, 0, 0] < crop.points_N52[0, 1, 0]
