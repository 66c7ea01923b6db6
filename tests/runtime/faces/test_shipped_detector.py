"""What the detector in the package finds in the loop, as people start it."""

import numpy as np
import pytest

from edge_fer import Recognizer
from edge_fer.runtime.faces.tracking import overlap

CLIPS = (
    "face-demographics-walking",
    "head-pose-face-detection-female",
    "head-pose-face-detection-female-and-male",
    "head-pose-face-detection-male",
)


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.load(detector="edge-fer")


@pytest.mark.data
@pytest.mark.parametrize("clip", CLIPS)
def test_a_face_is_found_in_nearly_every_frame_of_a_demo_clip(recognizer, data_root, clip):
    file = data_root / "demo" / f"{clip}.gif"
    with_face = [bool(result.faces) for result in recognizer.stream(str(file))]
    assert np.mean(with_face) >= 0.95


def test_the_astronaut_has_one_face_and_the_shuttle_none(recognizer, astronaut):
    (result,) = recognizer.stream(str(astronaut))
    (face,) = result.faces
    assert overlap(face.box, (175.0, 65.0, 110.0, 110.0)) > 0.4
    assert face.label == "happy"


@pytest.mark.parametrize("value", [0, 60, 128, 255])
def test_an_even_frame_has_no_face(recognizer, value):
    for shape in ((480, 640, 3), (240, 320), (33, 1000), (1, 1)):
        assert recognizer.detector.detect(np.full(shape, value, np.uint8)) == []
