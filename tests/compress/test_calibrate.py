import cv2
import numpy as np
import pytest

from edge_fer.compress import calibrate
from edge_fer.compress.calibrate import calibration_faces
from edge_fer.data.fer2013 import read_fer2013
from edge_fer.errors import DataError, EdgeFerError
from edge_fer.preprocess import FER2013_EYES, Preprocessing
from edge_fer.runtime.faces.detectors import Detection
from edge_fer.runtime.sources.images import read_image

GRAY = Preprocessing()


@pytest.fixture(autouse=True)
def haar_detector(monkeypatch):
    monkeypatch.delenv("EDGE_FER_YUNET", raising=False)


def test_faces_are_drawn_from_the_training_split_only(tiny_fer2013):
    drawn = calibration_faces(f"fer2013:{tiny_fer2013}", GRAY, images=20, seed=0)
    training = {image.tobytes() for image in read_fer2013(tiny_fer2013, "Training").images_NHW}
    assert drawn.shape == (20, 48, 48)
    assert all(image.tobytes() in training for image in drawn[1:])
    assert len({image.tobytes() for image in drawn}) == 20


def test_the_seed_decides_the_draw(tiny_fer2013):
    def draw(seed):
        return calibration_faces(f"fer2013:{tiny_fer2013}", GRAY, images=20, seed=seed)

    assert np.array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))


def test_a_small_dataset_gives_all_its_faces(tiny_fer2013):
    assert len(calibration_faces(f"fer2013:{tiny_fer2013}", GRAY, images=300, seed=0)) == 48


@pytest.mark.parametrize("color", ["gray", "gray3", "rgb"])
def test_the_first_face_spans_the_whole_range_of_pixels(tiny_fer2013, color):
    preprocessing = Preprocessing(height_px=60, width_px=60, color=color)
    faces = calibration_faces(f"fer2013:{tiny_fer2013}", preprocessing, images=5, seed=0)
    assert faces.shape == ((5, 60, 60) if color == "gray" else (5, 60, 60, 3))
    assert (faces[0].min(), faces[0].max()) == (0, 255)


def test_one_photo_gives_as_many_different_faces_as_asked(astronaut):
    faces = calibration_faces(f"photos:{astronaut}", GRAY, images=12, seed=0)
    assert faces.shape == (12, 48, 48)
    assert faces.dtype == np.uint8
    assert len({face.tobytes() for face in faces}) == 12
    again = calibration_faces(f"photos:{astronaut}", GRAY, images=12, seed=0)
    assert np.array_equal(faces, again)


def test_photos_without_a_face_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((200, 200, 3), 128, np.uint8))
    with pytest.raises(DataError, match="no face"):
        calibration_faces(f"photos:{tmp_path}", GRAY, images=5, seed=0)


@pytest.mark.parametrize("spec", ["fer2013", "photos:/no/such/folder", "other:x"])
def test_a_bad_spec_is_refused(spec):
    with pytest.raises(EdgeFerError):
        calibration_faces(spec, GRAY, images=5, seed=0)


@pytest.mark.parametrize(
    "changes",
    [{"interpolation": "bicubic"}, {"clahe_clip": 2.0}, {"eyes": FER2013_EYES}],
    ids=str,
)
def test_calibration_faces_are_what_the_network_will_be_fed(tiny_fer2013, changes):
    preprocessing = Preprocessing(height_px=64, width_px=64, color="gray3", **changes)
    spec = f"fer2013:{tiny_fer2013}"
    faces = calibration_faces(spec, preprocessing, images=48, seed=0)
    images = read_fer2013(tiny_fer2013, "Training").images_NHW
    expected = np.stack([preprocessing.fit(image) for image in images])
    assert np.array_equal(faces[1:], expected[1:])


def test_faces_in_photos_are_aligned_as_the_camera_loop_aligns_them(astronaut, monkeypatch):
    eyes = ((203.0, 101.0), (247.0, 110.0))
    box = (165.0, 55.0, 120.0, 130.0)

    class OneFace:
        def detect(self, image):
            return [Detection(box, 1.0, eyes)]

    monkeypatch.setattr(calibrate, "open_detector", lambda _: OneFace())
    aligned = Preprocessing(eyes=FER2013_EYES)
    (face,) = calibration_faces(f"photos:{astronaut}", aligned, images=1, seed=0)
    expected = aligned.face_pixels(read_image(astronaut), box, eyes)
    assert np.array_equal(face[1:], expected[1:])
    assert not np.array_equal(face[1:], GRAY.face_pixels(read_image(astronaut), box)[1:])
