import numpy as np
import pytest

from edge_fer.data import landmarks
from edge_fer.data.landmark_set import (
    SPLITS,
    LandmarkSet,
    find_sets,
    landmark_sheet,
    landmarks_document,
)
from edge_fer.data.landmarks import landmarks_for
from edge_fer.data.spec import read_faces
from edge_fer.data.synthetic import synthetic_faces
from edge_fer.errors import DataError

SPEC = "synthetic:70,3"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "landmarks.npz"


@pytest.fixture
def no_dlib(monkeypatch):
    monkeypatch.setattr(landmarks, "open_predictor", lambda: pytest.fail("Dlib was asked"))


def test_drawn_faces_have_the_landmarks_they_were_drawn_by(cache, no_dlib):
    sets = find_sets(SPEC, SPLITS, cache)
    images_NHW, _, points_NP2 = synthetic_faces(70, seed=3)
    drawn = {image.tobytes(): points for image, points in zip(images_NHW, points_NP2, strict=True)}
    assert sum(len(part.faces) for part in sets) == 70
    for part in sets:
        expected = [drawn[image.tobytes()] for image in part.faces.images_NHW]
        assert np.array_equal(part.landmarks_NP2, expected)


def test_what_is_kept_is_what_training_looks_up(cache, no_dlib):
    (part,) = find_sets(SPEC, ["PublicTest"], cache)
    assert np.array_equal(landmarks_for(read_faces(SPEC, "validation"), cache), part.landmarks_NP2)
    assert np.array_equal(
        landmarks_for(read_faces(SPEC, "train"), cache),
        find_sets(SPEC, ["train"], cache)[0].landmarks_NP2,
    )


def test_other_faces_are_found_by_dlib_split_after_split(cache, tiny_fer2013, monkeypatch):
    asked, seen = [], []

    def predict(gray, box):
        asked.append(box)
        return np.full((68, 2), 63.5, np.float32)

    monkeypatch.setattr(landmarks, "open_predictor", lambda: predict)
    spec = f"fer2013:{tiny_fer2013}"
    sets = find_sets(spec, SPLITS[1:], cache, on_progress=lambda *pair: seen.append(pair))
    assert [len(part.faces) for part in sets] == [16, 16]
    assert all(part.landmarks_NP2 == pytest.approx(0.25) for part in sets)
    assert seen == [(done, 16) for done in range(1, 17)] * 2
    find_sets(spec, SPLITS[1:], cache)
    assert len(asked) == 32


def test_nothing_is_written_for_a_dataset_that_cannot_be_read(cache):
    for spec, splits in (("synthetic:x", SPLITS), (SPEC, ["Holdout"]), ("magic:1", SPLITS)):
        with pytest.raises(DataError):
            find_sets(spec, splits, cache)
    assert not cache.exists()


def test_the_document_sums_up_all_splits(cache):
    first, second = find_sets(SPEC, ["train", "test"], cache)
    outside_NP2 = second.landmarks_NP2.copy()
    outside_NP2[0, 8, 1] = 1.01
    sets = [first, LandmarkSet(second.faces, outside_NP2)]
    document = landmarks_document(sets, cache)
    before = landmarks_document([first, second], cache)
    assert document["schema"] == "edge-fer/data-landmarks/1"
    assert document["n"] == len(first.faces) + len(second.faces)
    assert [split["name"] for split in document["splits"]] == ["train", "test"]
    assert document["reach_outside"] == before["reach_outside"] + 1
    assert 0.3 < document["eyes"]["height"] < 0.45
    assert 0.25 < document["eyes"]["inset"] < 0.4


@pytest.mark.parametrize(("count", "rows"), [(3, 1), (9, 2), (70, 5)])
def test_the_sheet_holds_eight_faces_a_row_and_forty_in_all(cache, count, rows):
    parts = find_sets(SPEC, SPLITS, cache)
    sets, left = [], count
    for part in parts:
        take = np.arange(min(left, len(part.faces)))
        sets.append(LandmarkSet(part.faces.take(take), part.landmarks_NP2[take]))
        left -= len(take)
    sheet = landmark_sheet(sets)
    assert sheet.shape == (rows * 160, 8 * 160, 3)
    assert np.array_equal(sheet, landmark_sheet(sets))
    assert (count < 40) or not np.array_equal(sheet, landmark_sheet(sets, seed=1))


def test_the_points_are_drawn_where_they_are():
    faces = read_faces("synthetic:70", "train").take(np.arange(1))
    points = np.tile(np.array([0.25, 0.75], np.float32), (1, 68, 1))
    tile = landmark_sheet([LandmarkSet(faces, points)])[:, :160].astype(int)
    rows, columns = np.nonzero(tile[..., 1] - tile[..., 0] > 100)
    assert len(rows) > 0
    assert np.abs(rows - 119.5).max() < 2
    assert np.abs(columns - 39.5).max() < 2
