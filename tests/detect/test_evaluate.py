from dataclasses import replace

import numpy as np
import pytest

from edge_fer.data.scenes_degrade import ONLY
from edge_fer.detect.evaluate import (
    Pictures,
    evaluate,
    point_error,
    without_repeats,
)
from edge_fer.detect.pictures import LARGE, SMALL, fitted
from edge_fer.runtime.faces.decode import Faces
from tests.detect.faces import drawn_face, noise_scene


@pytest.fixture(scope="module")
def pictures():
    faces = [fitted(drawn_face(seed), SMALL) for seed in range(6)]
    empty = [fitted(noise_scene(seed), SMALL) for seed in range(3)]
    return Pictures(
        scenes=faces, photos=faces[:3], faceless=empty, lights=dict.fromkeys(ONLY, faces)
    )


def knowing(pictures, **changes):
    """A detector that knows the answers."""
    answers = {p.image_HW.tobytes(): p for p in pictures.scenes}

    def find(image_HW):
        truth = answers.get(image_HW.tobytes())
        if truth is None:
            return Faces(np.empty((0, 4)), np.empty((0, 5, 2)), np.empty(0))
        return replace(Faces(truth.boxes_N4, truth.points_N52, np.array([0.9])), **changes)

    return find


def evaluated(finder, pictures):
    return evaluate(finder, pictures, 0.5, lambda _: None)


def test_one_who_knows_is_perfect(pictures):
    figures = evaluated(knowing(pictures), pictures)
    perfect = {"ap": 1, "recall": 1, "recall_in_use": 1, "false_per_picture_in_use": 0}
    assert figures["scenes"].pop("recall_ci95")[1] == 1
    assert figures["scenes"] == {"faces": 6, "pictures": 6, **perfect}
    assert figures["ap_by_light"] == dict.fromkeys(ONLY, 1.0)
    assert figures["ap_by_size"][">80"] == 1
    assert figures["ap_by_roll"]["0-10"] == 1
    assert (figures["false_per_1000"], figures["point_error"]) == (0, 0)


def test_weak_faces_do_not_count_in_use(pictures):
    figures = evaluated(knowing(pictures, scores_N=np.array([0.3])), pictures)
    assert (figures["scenes"]["recall"], figures["scenes"]["recall_in_use"]) == (1, 0)


def test_faces_in_faceless_photos_are_counted(pictures):
    one = Faces(np.array([[10.0, 10, 30, 30]]), np.zeros((1, 5, 2)), np.array([0.8]))
    assert evaluated(lambda _: one, pictures)["false_per_1000"] == 1000


def test_points_are_measured_in_sizes_of_the_face(pictures):
    (x, y, w, h), points = pictures.scenes[0].boxes_N4[0], pictures.scenes[0].points_N52
    moved = Faces(
        np.array([[x, y, w, h]]), points + np.array([0.1 * np.sqrt(w * h), 0]), np.ones(1)
    )
    assert point_error([moved], pictures.scenes[:1]) == pytest.approx(0.1)


def test_copies_are_left_out():
    photos = [drawn_face(seed) for seed in range(3)]
    noisy = replace(photos[1], image_HW=(photos[1].image_HW // 2 + 20).astype(np.uint8))
    others = [noise_scene(seed, 64, 64) for seed in range(3)]
    assert without_repeats(others, photos) == others
    assert without_repeats([noisy, others[0]], photos) == [others[0]]
    assert without_repeats(photos, []) == photos


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_photo_is_fitted_with_its_boxes(size):
    photo = fitted(drawn_face(0), size)
    assert photo.image_HW.shape == size[::-1]
    scale = size[1] / 64
    np.testing.assert_allclose(photo.boxes_N4, np.array([[12, 8, 40, 48]]) * scale)
    assert (photo.image_HW[:, size[1] :] == 128).all()
