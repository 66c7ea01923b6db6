import cv2
import numpy as np
import pytest

from edge_fer.data.scenes import Photo
from edge_fer.data.scenes_compose import LEAST_PX, Mixture, composed, seen
from edge_fer.data.scenes_degrade import ONLY
from edge_fer.data.scenes_paste import pasted
from edge_fer.data.scenes_warp import Move, face_sizes_px, visible_shares
from edge_fer.runtime.faces.decode import overlaps
from tests.detect.faces import drawn_face, drawn_pool

SIZE = (160, 128)
pool = pytest.fixture(scope="module")(drawn_pool)
CLEAN = Mixture(photo=0.0, empty=0.0, distractors=0.0, border=0.0, degradation=ONLY["plain"])


def scenes_of(pool, mixture, count=40):
    return [composed(pool, SIZE, np.random.default_rng(seed), mixture) for seed in range(count)]


def test_a_seed_is_a_scene(pool):
    first, second = (composed(pool, SIZE, np.random.default_rng(1), Mixture()) for _ in range(2))
    np.testing.assert_array_equal(first.image_HW, second.image_HW)
    np.testing.assert_array_equal(first.boxes_N4, second.boxes_N4)


def test_faces_are_large_enough_visible_and_apart(pool):
    scenes = scenes_of(pool, Mixture())
    assert sum(len(scene.boxes_N4) for scene in scenes) > 20
    for scene in scenes:
        assert scene.image_HW.shape == SIZE[::-1]
        assert (face_sizes_px(scene.boxes_N4) >= LEAST_PX).all()
        assert (visible_shares(scene.boxes_N4, *SIZE) >= 0.5).all()
        for index, box_4 in enumerate(scene.boxes_N4):
            assert (overlaps(box_4, scene.boxes_N4[index + 1 :]) < 0.3).all()


def test_empty_scenes_are_empty(pool):
    mixture = Mixture(photo=0.0, empty=1.0)
    assert not any(len(scene.boxes_N4) for scene in scenes_of(pool, mixture, 10))


def test_a_pasted_face_is_where_its_box_says(pool):
    canvas = Photo(name="gray", image_HW=np.full((128, 160), 128, np.uint8))
    face = drawn_face(0)
    move = Move(source=(32, 32), target=(80, 60), scale=0.8)
    scene = pasted(canvas, face, move, np.random.default_rng(0), reach=1.0)
    np.testing.assert_allclose(scene.boxes_N4, [[64, 40.8, 32, 38.4]])
    inside = np.zeros((128, 160), bool)
    inside[39:81, 62:98] = True
    assert (scene.image_HW[~inside] == 128).all()
    x, y = scene.points_N52[0, 0]
    cheek = scene.image_HW[int(y) + 9, int(x)]
    assert scene.image_HW[int(y), int(x)] < cheek - 30


def test_a_letterbox_is_blank_and_hides_faces(pool):
    mixture = Mixture(photo=0.0, empty=0.0, border=1.0)
    for scene in scenes_of(pool, mixture, 20):
        blank_rows = (scene.image_HW == 128).all(1)
        blank_columns = (scene.image_HW == 128).all(0)
        assert blank_rows[-1] or blank_columns[-1]
        size = (int((~blank_columns).sum()), int((~blank_rows).sum()))
        assert (visible_shares(scene.boxes_N4, *size) >= 0.5).all()


def test_seen_sorts_faces():
    boxes = np.array([[10.0, 10, 20, 20], [-15, 10, 20, 20], [-19, 10, 20, 20], [50, 50, 5, 5]])
    photo = Photo(
        name="p",
        image_HW=np.zeros((100, 100), np.uint8),
        boxes_N4=boxes,
        points_N52=np.zeros((4, 5, 2)),
    )
    sorted_out = seen(photo, (100, 100))
    assert sorted_out.boxes_N4.tolist() == boxes[:1].tolist()
    assert sorted_out.ignored_N4.tolist() == boxes[[1, 3]].tolist()


@pytest.mark.parametrize("light", ["plain", "dark"])
def test_light_is_as_asked(pool, light):
    mixture = Mixture(photo=0.0, border=0.0, degradation=ONLY[light])
    mean = np.mean([scene.image_HW.mean() for scene in scenes_of(pool, mixture, 20)])
    assert (mean < 60) == (light == "dark")


def test_a_large_scene_is_as_large(pool):
    scene = composed(pool, (320, 256), np.random.default_rng(0), CLEAN)
    assert scene.image_HW.shape == (256, 320)
    assert cv2.meanStdDev(scene.image_HW)[1] > 5
