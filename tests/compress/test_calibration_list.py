from dataclasses import replace

import numpy as np
import pytest

from edge_fer.compress.calibrate import calibrate
from edge_fer.compress.calibration_list import COUNT, SEED, draw_rows, read_list, render_list
from edge_fer.data.faces import Faces
from edge_fer.data.fer2013 import read_fer2013
from edge_fer.errors import DataError
from edge_fer.preprocess import Preprocessing
from edge_fer.resources import find_resource

SHIPPED = find_resource("calibration", "fer2013")


@pytest.fixture
def faces():
    rng = np.random.default_rng(0)
    return Faces(
        images_NHW=rng.integers(0, 256, (100, 4, 4), np.uint8),
        labels_N=np.repeat([0, 1, 2], [70, 27, 3]),
        label_names=("a", "b", "c"),
        source="test",
    )


def test_every_class_has_its_share_in_any_beginning(faces):
    rows = draw_rows(faces.labels_N, 40, 0)
    assert len(set(rows)) == 40
    assert np.bincount(faces.labels_N[rows]).tolist() == [28, 11, 1]
    for n in (10, 20, 30):
        counts = np.bincount(faces.labels_N[rows[:n]], minlength=3)
        assert np.abs(counts - n * np.array([0.7, 0.27, 0.03])).max() <= 1


def test_a_list_reads_back_for_the_same_images_only(faces, tmp_path):
    rows = draw_rows(faces.labels_N, 10, 0)
    file = tmp_path / "list.txt"
    file.write_text(render_list(faces, rows))
    assert read_list(file, faces) == rows
    assert read_list(file, faces.take(np.arange(99, -1, -1))) is None
    assert read_list(file, faces.take(np.arange(5))) is None
    changed = faces.images_NHW.copy()
    changed[rows[3]] ^= 1
    assert read_list(file, replace(faces, images_NHW=changed)) is None


@pytest.mark.parametrize("text", ["", "# images_sha256: 0\n", "1\n2\n", "# images_sha256: 0\nx\n"])
def test_what_is_no_list_is_refused(faces, tmp_path, text):
    file = tmp_path / "list.txt"
    file.write_text(text)
    with pytest.raises(DataError, match=r"list\.txt"):
        read_list(file, faces)


@pytest.mark.data
def test_the_shipped_list_is_what_its_command_makes(fer2013_file):
    training = read_fer2013(fer2013_file, "Training")
    made = render_list(training, draw_rows(training.labels_N, COUNT, SEED))
    assert SHIPPED.read_text() == made


@pytest.mark.data
def test_fer2013_is_calibrated_on_by_the_list_and_says_so(fer2013_file, network):
    spec, gray = f"fer2013:{fer2013_file}", Preprocessing()
    listed = calibrate(spec, gray, images=7, seed=0, network=network)
    training = read_fer2013(fer2013_file, "Training")
    rows = sorted(read_list(SHIPPED, training)[:7])
    assert np.array_equal(listed.images[1:], training.images_NHW[rows[1:]])
    assert listed.source["list"] == "fer2013.txt"
    assert len(listed.source["list_sha256"]) == 64


def test_other_faces_are_drawn(tiny_fer2013, network):
    drawn = calibrate(f"fer2013:{tiny_fer2013}", Preprocessing(), images=7, seed=0, network=network)
    assert drawn.source == {"data": "fer2013"}
