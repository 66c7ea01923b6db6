from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge_fer.data.dataset import read_pixels
from edge_fer.data.landmarks import eye_centres
from edge_fer.data.synthetic import (
    EXPRESSIONS,
    MIN_FACES,
    read_synthetic,
    synthetic_clip,
    synthetic_faces,
)
from edge_fer.errors import DataError
from edge_fer.labels import FER2013_LABELS

FACES = 700


@pytest.fixture(scope="module")
def faces():
    return synthetic_faces(FACES, 48, seed=1)


def mean_shape(faces, label):
    """Mean landmarks of an expression, apart from where the heads are."""
    _, labels_N, landmarks_NP2 = faces
    shapes = landmarks_NP2[labels_N == FER2013_LABELS.index(label)]
    return (shapes - shapes.mean(axis=1, keepdims=True)).mean(axis=0)


def test_shapes_types_and_classes(faces):
    images_NHW, labels_N, landmarks_NP2 = faces
    assert (images_NHW.shape, images_NHW.dtype) == ((FACES, 48, 48), np.uint8)
    assert (labels_N.shape, labels_N.dtype) == ((FACES,), np.int64)
    assert (landmarks_NP2.shape, landmarks_NP2.dtype) == ((FACES, 68, 2), np.float32)
    assert set(Counter(labels_N.tolist()).values()) == {FACES // 7}
    assert set(EXPRESSIONS) == set(FER2013_LABELS)
    assert synthetic_faces(3, 160)[0].shape == (3, 160, 160)
    assert synthetic_faces(0)[2].shape == (0, 68, 2)


def test_the_seed_decides_and_the_number_of_faces_does_not_matter(faces):
    for again, first in zip(synthetic_faces(600, 48, seed=1), faces, strict=True):
        assert np.array_equal(again, first[:600])
    assert not np.array_equal(synthetic_faces(FACES, 48, seed=2)[0], faces[0])


def test_no_two_faces_are_alike(faces):
    assert len({image.tobytes() for image in faces[0]}) == FACES


def test_landmarks_do_not_depend_on_the_size_of_the_picture(faces):
    assert np.array_equal(synthetic_faces(20, 96, seed=1)[2], faces[2][:20])


def test_landmarks_are_inside_the_picture_and_in_their_places(faces):
    landmarks_NP2 = faces[2]
    inside = (landmarks_NP2 > 0) & (landmarks_NP2 < 1)
    assert inside.mean() > 0.99
    eyes = eye_centres(landmarks_NP2)
    assert (eyes[:, 0, 0] < eyes[:, 1, 0] - 0.2).all()
    x, y = landmarks_NP2[..., 0], landmarks_NP2[..., 1]
    assert (np.diff(x[:, :17].mean(axis=0)) > 0).all()
    assert (np.diff(x[:, 17:27].mean(axis=0)) > 0).all()
    brows, eyes_y, nose = y[:, 17:27].mean(1), y[:, 36:48].mean(1), y[:, 31:36].mean(1)
    mouth, chin = y[:, 48:].mean(1), y[:, 8]
    for upper, lower in zip((brows, eyes_y, nose, mouth), (eyes_y, nose, mouth, chin), strict=True):
        assert (upper < lower).all()


def test_landmarks_are_on_what_is_drawn():
    images_NHW, labels_N, landmarks_NP2 = synthetic_faces(140, 160, seed=3)
    pixels_NP2 = np.floor(landmarks_NP2 * 160).astype(int).clip(0, 159)

    def shade(points_N2):
        return images_NHW[np.arange(140), points_N2[:, 1], points_N2[:, 0]].astype(int)

    cheek = (pixels_NP2[:, 31] + pixels_NP2[:, 2]) // 2
    for lid in (37, 38, 43, 44):
        assert np.mean(shade(pixels_NP2[:, lid]) < shade(cheek)) > 0.95
    surprised = labels_N == FER2013_LABELS.index("surprise")
    inside = (pixels_NP2[:, 66] * 3 + pixels_NP2[:, 62]) // 4
    assert (shade(inside) < 0.5 * shade(cheek))[surprised].all()


def test_expressions_move_what_their_action_units_move(faces):
    neutral = mean_shape(faces, "neutral")
    happy, sad = mean_shape(faces, "happy"), mean_shape(faces, "sad")
    surprise, angry = mean_shape(faces, "surprise"), mean_shape(faces, "angry")

    def corners(shape):
        return shape[[48, 54], 1].mean() - shape[51, 1]

    def width(shape):
        return shape[54, 0] - shape[48, 0]

    def brow_to_eye(shape):
        return shape[36:48, 1].mean() - shape[[21, 22], 1].mean()

    def mouth_gap(shape):
        return shape[66, 1] - shape[62, 1]

    assert corners(happy) < corners(neutral) - 0.02 < corners(sad) - 0.04
    assert width(happy) > width(neutral) + 0.02
    assert brow_to_eye(angry) < brow_to_eye(neutral) - 0.02
    assert brow_to_eye(surprise) > brow_to_eye(neutral) + 0.02
    assert mouth_gap(surprise) > 0.05
    assert abs(mouth_gap(neutral)) < 0.005


def test_expressions_can_be_told_apart_from_pixels_of_other_people():
    images_NHW, labels_N, _ = synthetic_faces(2100, 48, seed=1)
    small = images_NHW.reshape(-1, 24, 2, 24, 2).mean(axis=(2, 4)).reshape(2100, -1)
    x = (small - small.mean(1, keepdims=True)) / small.std(1, keepdims=True)
    x = np.hstack([x, np.ones((2100, 1))])
    seen = np.arange(2100) // 7 % 30 < 20
    targets = np.eye(7)[labels_N]
    gram = x[seen].T @ x[seen] + 30 * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[seen].T @ targets[seen])
    right = (x[~seen] @ weights).argmax(1) == labels_N[~seen]
    assert right.mean() > 0.6
    assert min(right[labels_N[~seen] == label].mean() for label in range(7)) > 0.3


def test_a_clip_goes_from_neutral_to_the_apex_and_back():
    clip = synthetic_clip("surprise", 31, seed=4)
    assert (clip.frames_THW.shape, clip.frames_THW.dtype) == ((31, 48, 48), np.uint8)
    assert clip.landmarks_TP2.shape == (31, 68, 2)
    assert (clip.onset, clip.apex, clip.offset) == (3, 15, 27)
    gap = clip.landmarks_TP2[:, 66, 1] - clip.landmarks_TP2[:, 62, 1]
    assert gap.argmax() == clip.apex
    assert np.abs(gap[: clip.onset + 1]).max() < 0.01
    assert np.abs(gap[clip.offset :]).max() < 0.01
    assert (np.diff(gap[clip.onset : clip.apex + 1]) > 0).all()
    assert (np.diff(gap[clip.apex : clip.offset + 1]) < 0).all()


def test_a_clip_is_of_one_person_whom_the_seed_chooses():
    first, again = synthetic_clip("sad", 9, seed=4), synthetic_clip("sad", 9, seed=4)
    assert np.array_equal(first.frames_THW, again.frames_THW)
    assert not np.array_equal(first.frames_THW, synthetic_clip("sad", 9, seed=5).frames_THW)
    still = first.frames_THW[0].astype(int) - first.frames_THW[-1]
    assert np.abs(still).mean() < 12
    assert not np.array_equal(first.frames_THW[0], first.frames_THW[1])


@pytest.mark.parametrize("label", FER2013_LABELS)
@pytest.mark.parametrize("frames", [5, 10, 101])
def test_onset_apex_and_offset_are_in_order(label, frames):
    clip = synthetic_clip(label, frames)
    assert 0 < clip.onset < clip.apex < clip.offset < frames


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(DataError, match=r"'bored'.*angry, disgust"):
        synthetic_clip("bored", 9)
    with pytest.raises(DataError, match="at least 5 frames, not 4"):
        synthetic_clip("sad", 4)


@pytest.mark.parametrize("count", [MIN_FACES, 100, 700])
def test_a_dataset_has_three_splits_of_different_people(count):
    data = read_synthetic(f"{count},3")
    assert len(data) == count
    assert data.label_names == FER2013_LABELS
    assert len({item.name for item in data.items}) == count
    people = {
        split: {item.subject for item in data.items if item.split == split}
        for split in ("train", "validation", "test")
    }
    assert set(data.splits) == set(people)
    assert sum(map(len, people.values())) == len(data.subjects) >= 3
    assert all(people.values())
    assert len(people["train"]) >= max(len(people["validation"]), len(people["test"]))


@pytest.mark.parametrize(("count", "people"), [(MIN_FACES, 3), (700, 30)])
def test_one_person_can_be_left_out_with_all_expressions(count, people):
    data = read_synthetic(str(count))
    assert len(data.subjects) == people
    for subject in data.subjects:
        own = data.where(lambda item, subject=subject: item.subject == subject)
        assert {item.label for item in own.items} == set(range(7))


def test_a_datasets_pixels_are_those_of_its_seed():
    images_NHW, labels_N, _ = synthetic_faces(50, 48, seed=6)
    data = read_synthetic(Path("50,6"))
    for index, item in enumerate(data.items):
        assert np.array_equal(read_pixels(item), images_NHW[index])
        assert item.label == labels_N[index]
    zero, unseeded = read_synthetic("50,0"), read_synthetic("50")
    assert np.array_equal(read_pixels(zero.items[9]), read_pixels(unseeded.items[9]))


def test_the_seed_assigns_the_splits():
    splits = [[item.split for item in read_synthetic(f"210,{seed}").items] for seed in (1, 1, 2)]
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize("path", ["", "many", "50,x", "-50", "50,1,2", "5.5"])
def test_a_specification_that_is_no_count_shows_the_form(path):
    with pytest.raises(DataError, match=r"synthetic:COUNT\[,SEED\]"):
        read_synthetic(path)


def test_too_few_faces_for_three_people_are_refused():
    with pytest.raises(DataError, match="at least 21 faces"):
        read_synthetic("20")
