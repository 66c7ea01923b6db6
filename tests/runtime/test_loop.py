import io
import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_fer.errors import EdgeFerError, OutputError
from edge_fer.labels import FER2013_LABELS
from edge_fer.preprocess import FER2013_EYES
from edge_fer.runtime import loop
from edge_fer.runtime.detectors import Detection
from edge_fer.runtime.frame import Frame
from edge_fer.runtime.loop import RunOptions, Summary, run
from edge_fer.runtime.recognizer import Recognizer


def options(bundle_dir, where, **changes):
    values = {
        "source": str(where),
        "bundle": str(bundle_dir),
        "detector": "haar",
        "engine": "litert",
        "json_lines": True,
    }
    return RunOptions(**(values | changes))


@pytest.fixture
def photos(astronaut, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        shutil.copy(astronaut, folder / name)
    return folder


def test_a_photo_gives_one_line_with_the_face_in_it(bundle_dir, astronaut):
    stream = io.StringIO()
    summary = run(options(bundle_dir, astronaut), stream)
    document = json.loads(stream.getvalue())
    assert (summary.frames, summary.with_face) == (1, 1)
    face = document["faces"][0]
    assert set(face["probabilities"]) == set(FER2013_LABELS)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert face["score"] == max(face["probabilities"].values())
    parts = sum(ms for stage, ms in document["latency_ms"].items() if stage != "total")
    assert document["latency_ms"]["total"] == pytest.approx(parts, abs=0.05)


def test_the_same_face_keeps_its_number_over_the_frames(bundle_dir, photos):
    stream = io.StringIO()
    run(options(bundle_dir, photos), stream)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["file"] for line in lines] == ["a.png", "b.png", "c.png"]
    assert {line["faces"][0]["id"] for line in lines} == {0}


def test_max_frames_stops_the_run(bundle_dir, photos):
    assert run(options(bundle_dir, photos, max_frames=2), io.StringIO()).frames == 2


def test_ctrl_c_is_a_clean_stop_that_finishes_the_recording(
    bundle_dir, photos, tmp_path, monkeypatch
):
    class Interrupted(io.StringIO):
        lines = 0

        def flush(self):
            self.lines += 1
            if self.lines == 3:
                raise KeyboardInterrupt

    out = tmp_path / "out.avi"
    summary = run(options(bundle_dir, photos, record=out), Interrupted())
    assert summary.frames == 3
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 2
    capture.release()


def test_a_recording_is_refused_before_anything_is_read(bundle_dir, photos, tmp_path):
    (tmp_path / "out.mp4").write_text("precious")
    stream = io.StringIO()
    with pytest.raises(OutputError):
        run(options(bundle_dir, photos, record=tmp_path / "out.mp4"), stream)
    assert stream.getvalue() == ""
    assert (tmp_path / "out.mp4").read_text() == "precious"


@pytest.mark.parametrize(
    "changes",
    [{"source": "none.mp4"}, {"bundle": "none"}, {"detector": "none"}, {"engine": "none"}],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_is_missing_is_an_error_for_the_user(bundle_dir, photos, changes):
    with pytest.raises(EdgeFerError, match="none"):
        run(options(bundle_dir, photos, **changes), io.StringIO())


def test_the_summary_counts_frames_faces_and_the_median(bundle_dir):
    summary = Summary(frames=4, with_face=3, total_ms=[10.0, 20.0, 30.0])
    assert "4 frames" in str(summary)
    assert "75%" in str(summary)
    assert "20.0 ms" in str(summary)
    assert "50 fps" in str(summary)
    assert str(loop.Summary()) == "no frames"


class TwoFaces:
    """A detector that always finds the same two faces."""

    def detect(self, image):
        return [Detection((10.0, 10.0, 60.0, 60.0), 0.9), Detection((-20.0, 80.0, 50.0, 50.0), 0.8)]


def test_every_face_of_a_frame_is_read_in_the_detectors_order(bundle_dir):
    recognizer = Recognizer.load(str(bundle_dir), detector="haar", engine="litert")
    recognizer.detector = TwoFaces()
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    result = recognizer.read(Frame(0, 0.0, image, 2.0))
    assert [face.box[0] for face in result.faces] == [10, -20]
    assert [face.id for face in result.faces] == [0, 1]
    assert result.latency_ms["capture"] == 2.0
    preprocessing = recognizer.classifier.preprocessing
    for face in result.faces:
        logits_K = recognizer.classifier.logits(preprocessing.face_pixels(image, face.box))
        assert np.array_equal(face.probabilities, recognizer.classifier.probabilities(logits_K))


LANDMARKS = ((45.0, 40.0), (71.0, 52.0), (56.0, 55.0), (42.0, 60.0), (60.0, 70.0))


class OneFace:
    """A detector that always finds the same tilted face."""

    def __init__(self, landmarks):
        self.landmarks = landmarks

    def detect(self, image):
        return [Detection((20.0, 20.0, 76.0, 76.0), 0.9, self.landmarks)]


@pytest.mark.parametrize(
    "changes",
    [{}, {"interpolation": "bicubic"}, {"clahe_clip": 2.0}, {"eyes": FER2013_EYES}],
    ids=str,
)
@pytest.mark.parametrize("landmarks", [None, LANDMARKS], ids=["box", "landmarks"])
def test_the_network_sees_what_its_preprocessing_makes_of_the_face(bundle_dir, changes, landmarks):
    recognizer = Recognizer.load(str(bundle_dir), detector="haar", engine="litert")
    recognizer.detector = OneFace(landmarks)
    classifier = recognizer.classifier
    classifier.preprocessing = replace(classifier.preprocessing, **changes)
    seen, logits = [], classifier.logits
    classifier.logits = lambda pixels: seen.append(pixels) or logits(pixels)
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    (face,) = recognizer.read(Frame(0, 0.0, image, 0.0)).faces
    box, eyes = (20.0, 20.0, 76.0, 76.0), landmarks and landmarks[:2]
    assert np.array_equal(seen[0], classifier.preprocessing.face_pixels(image, box, eyes))
    assert (face.box, face.landmarks) == (box, landmarks)
    boxed = classifier.preprocessing.face_pixels(image, box)
    assert np.array_equal(seen[0], boxed) == (landmarks is None or "eyes" not in changes)


def test_landmarks_are_in_the_json_only_where_the_detector_gives_them(bundle_dir):
    recognizer = Recognizer.load(str(bundle_dir), detector="haar", engine="litert")
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    core = {"id", "box", "label", "score", "probabilities"}
    for landmarks in (None, LANDMARKS):
        recognizer.detector = OneFace(landmarks)
        document = json.loads(json.dumps(recognizer.read(Frame(0, 0.0, image, 0.0)).to_dict()))
        (face,) = document["faces"]
        assert set(face) == core | ({"landmarks"} if landmarks else set())
        assert face.get("landmarks") == (landmarks and [list(point) for point in landmarks])
