import cv2
import numpy as np
import pytest

from edge_fer.bundle import Bundle
from edge_fer.errors import BundleError, ModelError
from edge_fer.runtime.classifier import Classifier, choose_file
from edge_fer.runtime.faces import bundle_detector
from edge_fer.runtime.faces.bundle_detector import BundleDetector, fit_picture
from edge_fer.runtime.faces.detectors import open_detector
from tests.runtime.faces.white_cells import EYE_PX, SIDE_PX, write_detector


def black(height, width, *cells):
    """A black picture with white cells at these rows and columns."""
    picture = np.zeros((height, width), np.uint8)
    for row, column in cells:
        picture[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 255
    return picture


def centre(detection):
    x, y, w, h = detection.box
    return x + w / 2, y + h / 2


@pytest.fixture
def detector(white_cells_bundle):
    return BundleDetector(str(white_cells_bundle))


@pytest.mark.parametrize("shape", [(240, 320), (320, 240), (256, 160), (180, 321), (64, 1000)])
def test_faces_are_where_they_are_in_a_picture_of_any_shape(detector, shape):
    cells = [(0, 0), (shape[0] // 8 - 1, shape[1] // 8 - 1), (3, 9)]
    found = detector.detect(black(*shape, *cells))
    assert {centre(one) for one in found} == {(8 * c + 4, 8 * r + 4) for r, c in cells}
    for one in found:
        assert one.box[2:] == pytest.approx((SIDE_PX, SIDE_PX), rel=0.01)
        eyes = np.array(one.landmarks) - one.box[:2]
        np.testing.assert_allclose(eyes, np.tile(EYE_PX, (5, 1)), atol=0.2)
        assert len(one.eyes) == 2
        assert one.score == pytest.approx(1 / (1 + np.exp(-3.94)), abs=0.01)


def test_a_large_picture_is_looked_at_again_at_half_its_size(white_cells_bundle, monkeypatch):
    """A cell of the half is four of the whole, which count as one face."""
    detector = BundleDetector(str(white_cells_bundle), width_px=640)
    large = black(480, 640, (4, 9), (40, 62), (40, 63), (41, 62), (41, 63))
    centres = {centre(one) for one in detector.detect(large)}
    assert (8 * 9 + 4, 8 * 4 + 4) in centres
    assert (16 * 31 + 8, 16 * 20 + 8) in centres
    monkeypatch.setattr(bundle_detector, "LARGEST_PX", 0)
    (alone,) = detector.detect(large)
    assert centre(alone) == pytest.approx((16 * 31 + 8, 16 * 20 + 8))
    assert alone.box[2:] == pytest.approx((2 * SIDE_PX, 2 * SIDE_PX), rel=0.01)


def test_pictures_of_changing_size_do_not_leave_traces(detector):
    detector.detect(black(320, 320, (39, 39), (20, 5)))
    for shape in ((240, 320), (320, 320), (160, 170)):
        assert detector.detect(black(*shape)) == []


def test_faces_of_a_scaled_picture_are_in_its_own_pixels(white_cells_bundle):
    detector = BundleDetector(str(white_cells_bundle), width_px=160)
    large = cv2.resize(black(120, 160, (4, 7)), (640, 480), interpolation=cv2.INTER_NEAREST)
    (one,) = detector.detect(large)
    assert centre(one) == pytest.approx((4 * 60, 4 * 36))
    assert one.box[2:] == pytest.approx((4 * SIDE_PX, 4 * SIDE_PX), rel=0.01)


def test_colour_and_gray_are_the_same(detector):
    gray = black(200, 300, (5, 6), (20, 30))
    assert detector.detect(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)) == detector.detect(gray)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1000, 3), (1000, 1), (3, 5000), (31, 33, 3)])
def test_tiny_and_thin_pictures_are_no_trouble(detector, shape):
    assert detector.detect(np.zeros(shape, np.uint8)) == []


@pytest.mark.parametrize(("width_px", "least"), [(160, 0.0), (320, 0.0), (640, 0.416)])
def test_a_face_has_to_be_as_sure_as_the_bundle_says_for_its_size(
    white_cells_bundle, width_px, least
):
    """The bundle says 0.5 for 320x240 and less: a logit of 0; 0.3 ln n more for n times."""
    detector = BundleDetector(str(white_cells_bundle))
    picture = black(width_px * 3 // 4, width_px, (2, 3))
    for gray in (180, 184, 188, 192, 196, 200, 204):
        picture[picture > 0] = gray
        assert bool(detector.detect(picture)) == ((gray - 128) / 16 - 4 >= least)


def test_faces_come_largest_first(detector, monkeypatch):
    decode = bundle_detector.decode_faces

    def grown(*args, **options):
        faces = decode(*args, **options)
        faces.boxes_N4[:, 2:] += np.arange(len(faces.scores_N))[:, None]
        return faces

    monkeypatch.setattr(bundle_detector, "decode_faces", grown)
    widths = [one.box[2] for one in detector.detect(black(160, 160, (2, 2), (6, 6), (9, 2)))]
    assert widths == sorted(widths, reverse=True)


def test_a_detector_is_opened_by_path_and_by_size(white_cells_bundle):
    detector = open_detector(str(white_cells_bundle), width_px=0)
    assert isinstance(detector, BundleDetector)
    assert len(detector.detect(black(96, 160, (2, 3)))) == 1


def test_a_detector_reads_no_expressions_and_a_classifier_finds_no_faces(
    white_cells_bundle, shipped_bundle
):
    bundle = Bundle.load(white_cells_bundle)
    with pytest.raises(BundleError, match="finds faces, not one that reads expressions"):
        Classifier(bundle, *choose_file(bundle))
    with pytest.raises(BundleError, match="reads expressions, not one that finds faces"):
        BundleDetector(str(shipped_bundle))


def test_a_model_that_gives_no_map_of_faces_is_refused(shipped_bundle, tmp_path):
    content = (shipped_bundle / "model.int8.tflite").read_bytes()
    folder = write_detector(tmp_path / "wrong", content)
    with pytest.raises(ModelError, match="no map of faces"):
        BundleDetector(str(folder))


def test_a_bundle_without_tflite_is_refused(white_cells_tflite, tmp_path):
    folder = write_detector(tmp_path / "onnx", white_cells_tflite, suffix="onnx")
    with pytest.raises(ModelError, match=r"no \.tflite file"):
        BundleDetector(str(folder))


@pytest.mark.parametrize("shape", [(100, 50), (30, 300), (64, 96), (7, 9)])
def test_a_fitted_picture_fills_one_side_and_the_rest_is_gray(shape):
    pixels, scale = fit_picture(np.full(shape, 200, np.uint8), (64, 96))
    assert pixels.shape == (64, 96)
    height, width = round(shape[0] * scale), round(shape[1] * scale)
    assert (height, width)[int(width == 96)] == (64, 96)[int(width == 96)]
    assert (pixels[:height, :width] == 200).all()
    assert (pixels[height:] == 128).all()
    assert (pixels[:, width:] == 128).all()
