from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_fer.data.scenes import Photo
from edge_fer.detect.finders import haar_finder, tflite_finder, yunet_finder
from edge_fer.detect.validate import found_by
from edge_fer.resources import find_resource
from edge_fer.runtime.faces.decode import overlaps
from edge_fer.train.checkpoint import load_checkpoint

CHECKPOINT = Path(__file__).parents[2] / "benchmarks/training/face-detector/best.safetensors"


@pytest.fixture
def detector_file():
    return find_resource("bundle", "face-detector") / "model.int8.tflite"


def gray(file, side_px):
    return cv2.resize(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), (side_px, side_px))


def test_the_shipped_file_finds_what_its_checkpoint_finds(detector_file, astronaut):
    face = Photo(name="astronaut", image_HW=gray(astronaut, 256))
    (expected,) = found_by(load_checkpoint(CHECKPOINT).network, [face])
    found = tflite_finder(detector_file)(face.image_HW)
    assert abs(found.scores_N[0] - expected.scores_N[0]) < 0.1
    assert overlaps(found.boxes_N4[0], expected.boxes_N4[:1])[0] > 0.85


def test_a_file_sees_pictures_of_any_size(detector_file, astronaut):
    find = tflite_finder(detector_file)
    for side_px in (128, 320, 128):
        found = find(gray(astronaut, side_px))
        assert found.scores_N[0] > 0.5
        assert 0.1 < found.boxes_N4[0, 2] / side_px < 0.3


@pytest.mark.data
def test_yunet_gives_scores_best_first(yunet_file, astronaut):
    found = yunet_finder(yunet_file)(gray(astronaut, 256))
    assert found.scores_N[0] > 0.8
    assert (np.diff(found.scores_N) <= 0).all()
    assert found.points_N52[0, 0, 0] < found.points_N52[0, 1, 0]


def test_the_cascade_has_no_scores_and_no_points(astronaut):
    found = haar_finder()(gray(astronaut, 512)[:288, :288])
    assert set(found.scores_N) == {1.0}
    assert np.isnan(found.points_N52).all()
