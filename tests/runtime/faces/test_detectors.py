import shutil

import cv2
import numpy as np
import pytest

from edge_fer.errors import ModelError
from edge_fer.runtime.faces.bundle_detector import BundleDetector
from edge_fer.runtime.faces.detectors import HaarDetector, YuNetDetector, open_detector
from edge_fer.runtime.faces.tracking import overlap
from edge_fer.runtime.sources.images import read_image

FACE = (175.0, 65.0, 110.0, 110.0)  # of the astronaut, read off the photo


@pytest.fixture(autouse=True)
def no_model_around(monkeypatch, tmp_path):
    monkeypatch.delenv("EDGE_FER_YUNET", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def photo(astronaut):
    return read_image(astronaut)


def test_haar_finds_the_face_where_it_is(photo):
    detections = HaarDetector().detect(photo)
    assert overlap(detections[0].box, FACE) > 0.4


@pytest.mark.data
def test_yunet_finds_the_face_at_any_frame_size(photo, yunet_file):
    detector = YuNetDetector(yunet_file)
    for scale in (1.0, 0.5, 1.5):
        frame = cv2.resize(photo, None, fx=scale, fy=scale)
        box = tuple(scale * value for value in FACE)
        (detection, *_) = detector.detect(frame)
        assert overlap(detection.box, box) > 0.4
        assert 0.7 <= detection.score <= 1


@pytest.mark.data
def test_yunet_finds_eyes_nose_and_mouth_where_they_are(photo, yunet_file):
    detector = YuNetDetector(yunet_file)
    for scale in (1.0, 0.5, 1.5):
        (detection, *_) = detector.detect(cv2.resize(photo, None, fx=scale, fy=scale))
        points = np.array(detection.landmarks) / scale
        expected = [(203, 101), (247, 103), (225, 125), (206, 144), (245, 145)]
        np.testing.assert_allclose(points, expected, atol=8)
        assert detection.eyes == detection.landmarks[:2]


@pytest.mark.data
@pytest.mark.parametrize("width_px", [0, 160, 320])
def test_yunet_finds_the_face_in_gray_and_in_a_tall_frame(photo, yunet_file, width_px):
    detector = YuNetDetector(yunet_file, width_px)
    tall = np.vstack([photo, np.zeros((512, 512, 3), np.uint8)])
    for image in (cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY), tall):
        assert overlap(detector.detect(image)[0].box, FACE) > 0.4


@pytest.mark.data
@pytest.mark.parametrize("shape", [(1, 1), (1, 1000, 3), (1000, 1, 3), (3, 5000), (31, 33, 3)])
@pytest.mark.parametrize("width_px", [0, 320])
def test_yunet_survives_frames_too_small_for_it(yunet_file, shape, width_px):
    detector = YuNetDetector(yunet_file, width_px)
    for value in (0, 127, 255):
        assert detector.detect(np.full(shape, value, np.uint8)) == []


@pytest.mark.data
def test_a_fetched_model_is_found_without_being_named(yunet_file, tmp_path):
    with pytest.raises(ModelError, match="edge-fer fetch yunet"):
        open_detector("yunet")
    cache = tmp_path / "cache" / "edge-fer"
    cache.mkdir(parents=True)
    shutil.copy(yunet_file, cache / "face_detection_yunet_2023mar.onnx")
    assert isinstance(open_detector("yunet"), YuNetDetector)
    assert isinstance(open_detector("auto"), BundleDetector)


def test_haar_finds_the_face_in_gray(photo):
    gray = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    assert HaarDetector().detect(gray) == HaarDetector().detect(photo)


def test_haar_finds_no_landmarks(photo):
    (detection, *_) = HaarDetector().detect(photo)
    assert detection.landmarks is None
    assert detection.eyes is None


def test_faces_come_largest_first(photo):
    small = cv2.resize(photo, None, fx=0.5, fy=0.5)
    frame = np.zeros((512, 768, 3), np.uint8)
    frame[:256, :256], frame[:, 256:] = small, photo
    areas = [d.box[2] * d.box[3] for d in HaarDetector().detect(frame)]
    assert len(areas) >= 2
    assert areas == sorted(areas, reverse=True)


def test_an_even_frame_has_no_face():
    assert HaarDetector().detect(np.full((240, 320, 3), 128, np.uint8)) == []


def test_auto_takes_yunet_where_the_environment_names_it(monkeypatch, tmp_path):
    assert isinstance(open_detector("auto"), BundleDetector)
    monkeypatch.setenv("EDGE_FER_YUNET", str(tmp_path / "missing.onnx"))
    for spec in ("auto", "yunet"):
        with pytest.raises(ModelError, match=r"missing\.onnx"):
            open_detector(spec)
    assert isinstance(open_detector("haar"), HaarDetector)
    assert isinstance(open_detector("edge-fer"), BundleDetector)


@pytest.mark.data
def test_yunet_is_opened_by_the_path_of_its_model(yunet_file):
    assert isinstance(open_detector(str(yunet_file)), YuNetDetector)


@pytest.mark.parametrize("spec", ["edge-fer", "edge-fer:160", "auto"])
def test_the_detector_in_the_package_finds_the_astronaut_and_no_face_in_the_shuttle(photo, spec):
    (detection,) = open_detector(spec).detect(photo)
    assert overlap(detection.box, FACE) > 0.4
    points = np.array(detection.landmarks)
    expected = [(203, 101), (247, 103), (225, 125), (206, 144), (245, 145)]
    np.testing.assert_allclose(points, expected, atol=10)


def test_a_file_that_is_no_yunet_model_is_refused_by_name(tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ModelError, match=r"text\.onnx"):
        open_detector(f"yunet:{tmp_path / 'text.onnx'}")


@pytest.mark.parametrize(
    "spec",
    [
        "mtcnn", "", "yunet", "yunet:", "haar:file", "auto:file", "edge-fer:", "edge-fer:0",
        "edge-fer:-160", "edge-fer:large", "missing.onnx", "/missing/bundle",
    ],
)  # fmt: skip
def test_a_detector_that_cannot_be_opened_is_refused(spec):
    with pytest.raises(ModelError):
        open_detector(spec)
