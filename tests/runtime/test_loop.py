import io
import json
import os
import shutil
import signal
import socket
from collections import deque
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge_fer.errors import EdgeFerError, ModelError, OutputError
from edge_fer.labels import FER2013_LABELS
from edge_fer.preprocess import FER2013_EYES
from edge_fer.runtime import loop
from edge_fer.runtime.faces.detectors import Detection
from edge_fer.runtime.frame import Closing, Frame
from edge_fer.runtime.loop import RunOptions, Summary, run
from edge_fer.runtime.outputs.outputs import parse_listen
from edge_fer.runtime.recognizer import Recognizer
from edge_fer.runtime.settings import Settings


def options(bundle_dir, where, *, detector="haar", engine="litert", **changes):
    settings = Settings(detector=detector, engine=engine)
    values = {
        "source": str(where),
        "bundle": str(bundle_dir),
        "settings": settings,
        "lines": "json",
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
    summary = Summary(frames=4, with_face=3, busy_ms=deque([10.0, 20.0, 30.0]))
    assert "4 frames" in str(summary)
    assert "75%" in str(summary)
    assert "20.0 ms" in str(summary)
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
        assert face.tracked is False
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
    recognizer = Recognizer.load(
        str(bundle_dir), detector="haar", engine="litert", smooth_s=0, detect_every=1
    )
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    core = {"id", "box", "label", "score", "probabilities"}
    for landmarks in (None, LANDMARKS):
        recognizer.detector = OneFace(landmarks)
        document = json.loads(json.dumps(recognizer.read(Frame(0, 0.0, image, 0.0)).to_dict()))
        (face,) = document["faces"]
        assert set(face) == core | ({"landmarks"} if landmarks else set())
        assert face.get("landmarks") == (landmarks and [list(point) for point in landmarks])


class Camera(Closing):
    """A live source of noise that ends after some frames, with something done before each."""

    fps, single, live = 30.0, False, True

    def __init__(self, count, before=lambda index: None):
        self.count, self.before = count, before

    def __iter__(self):
        image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
        for index in range(self.count):
            self.before(index)
            yield Frame(index, index / 30, image, 1.0)

    def close(self):
        pass


@pytest.fixture
def run_camera(bundle_dir, monkeypatch):
    """``run_camera(count, before, **options)`` runs over a made-up camera and a fixed detector."""

    def call(count, before=lambda index: None, *, detector=None, stream=None, **changes):
        found = detector or OneFace(None)
        monkeypatch.setattr(loop, "open_source", lambda spec, **_: Camera(count, before))
        return run(
            options(bundle_dir, "camera", detector=found, **changes), stream or io.StringIO()
        )

    return call


class Failing(OneFace):
    """Fails where ``fails(call)`` says so."""

    def __init__(self, fails):
        super().__init__(None)
        self.fails, self.calls = fails, 0

    def detect(self, image):
        self.calls += 1
        if self.fails(self.calls):
            raise cv2.error("the detector broke")
        return super().detect(image)


def test_a_detector_that_fails_now_and_then_costs_frames_and_no_more(run_camera, caplog):
    stream = io.StringIO()
    summary = run_camera(40, detector=Failing(lambda call: call == 2), stream=stream)
    assert (summary.frames, summary.skipped) == (39, 1)
    assert len(stream.getvalue().splitlines()) == 39
    assert "1 skipped" in str(summary)
    assert "the detector broke" in caplog.text


def test_a_detector_that_only_fails_ends_the_run_in_one_line(run_camera):
    with pytest.raises(ModelError, match=r"100 frames in a row could not be read: .*broke"):
        run_camera(500, detector=Failing(lambda call: True))


def test_a_photo_that_cannot_be_read_is_an_error(bundle_dir, photos):
    failing = Failing(lambda call: True)
    with pytest.raises(ModelError, match=r"a\.png: cannot be read: .*broke"):
        run(options(bundle_dir, photos, detector=failing), io.StringIO())


class Full:
    """A sink on a disk that is full from the third frame on."""

    def __init__(self):
        self.written, self.closed = 0, False

    def write(self, result):
        if self.written == 2:
            raise OutputError("out.mp4: disk full")
        self.written += 1

    def close(self):
        self.closed = True


def test_a_full_disk_ends_the_recording_and_not_the_camera_loop(
    run_camera, monkeypatch, tmp_path, caplog
):
    sink = Full()
    monkeypatch.setattr(loop, "open_recorder", lambda *_, **__: sink)
    summary = run_camera(5, record=tmp_path / "out.mp4")
    assert (summary.frames, sink.written, sink.closed) == (5, 2, True)
    assert summary.failures == ["out.mp4: disk full"]
    assert caplog.text.count("disk full") == 1


def test_without_any_output_left_the_run_ends(run_camera, monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "open_recorder", lambda *_, **__: Full())
    with pytest.raises(OutputError, match="disk full"):
        run_camera(5, record=tmp_path / "out.mp4", lines="none")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_cleanly(run_camera, tmp_path, number):
    rows = tmp_path / "rows.csv"

    def before(index):
        if index == 7:
            os.kill(os.getpid(), number)

    summary = run_camera(100, before, csv=rows)
    assert summary.frames == 7
    assert len(rows.read_text().splitlines()) == 1 + 7
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_systemd_hears_that_it_runs_and_that_it_stops(run_camera, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        run_camera(3)
        told = [systemd.recv(4096).decode() for _ in range(3)]
    assert told[0] == "READY=1"
    assert told[1].startswith("WATCHDOG=1\nSTATUS=1 frames, a face in 1")
    assert told[2] == "STOPPING=1"


def test_labels_are_steadied_and_told_of(run_camera):
    stream = io.StringIO()
    summary = run_camera(45, stream=stream)
    document = summary.steadiness.to_dict()
    assert (document["faces"], document["frames"]) == (1, 45)
    faces = [json.loads(line)["faces"][0] for line in stream.getvalue().splitlines()]
    assert {face["id"] for face in faces} == {0}
    assert all("raw_label" in face for face in faces)


def test_outputs_are_opened_before_the_first_frame_and_all_closed(run_camera, tmp_path):
    read = []
    with pytest.raises(OutputError, match="--serve http"):
        run_camera(5, read.append, csv=tmp_path / "rows.csv", serve="http")
    assert read == []
    assert (tmp_path / "rows.csv").read_text().startswith("time,")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("8000", ("127.0.0.1", 8000)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("[::]:1", ("::", 1))],
)
def test_where_to_serve(text, parsed):
    assert parse_listen(text) == parsed


@pytest.mark.parametrize("text", ["", "a", "a:", ":b", "localhost:8000/x"])
def test_where_not_to_serve(text):
    with pytest.raises(OutputError, match="give a port"):
        parse_listen(text)


def test_unknown_lines_are_refused(bundle_dir):
    with pytest.raises(OutputError, match="text, json, none"):
        options(bundle_dir, "camera", lines="xml")
