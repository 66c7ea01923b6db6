import io
import json
import shutil
from collections import namedtuple

import cv2
import numpy as np
import pytest

from edge_fer.errors import OutputError
from edge_fer.runtime import sinks
from edge_fer.runtime.frame import Frame
from edge_fer.runtime.result import STAGES, Face, Result
from edge_fer.runtime.sinks import (
    VIDEO_CODECS,
    JsonLines,
    TextLines,
    VideoRecorder,
    annotate,
    describe,
    open_recorder,
)

LABELS = ("angry", "happy", "sad")
Usage = namedtuple("Usage", "total used free")


def result(index=0, *, name="", size=(96, 128), box=(40.0, 50.0, 30.0, 20.0), t_s=0.0, faces=1):
    image = np.full((*size, 3), 30 + index, np.uint8)
    face = Face(0, box, np.array([0.1, 0.7, 0.2], np.float32), LABELS)
    return Result(Frame(index, t_s, image, 1.0, name), (face,) * faces, dict.fromkeys(STAGES, 1.5))


def frames_in(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_json_line_has_the_documented_keys():
    stream = io.StringIO()
    JsonLines(stream).write(result(7, t_s=0.28))
    document = json.loads(stream.getvalue())
    assert (document["t"], document["frame"]) == (0.28, 7)
    assert set(document["latency_ms"]) == {
        "capture",
        "detect",
        "track",
        "preprocess",
        "classify",
        "post",
        "total",
    }
    (face,) = document["faces"]
    assert set(face) >= {"id", "box", "label", "score", "probabilities"}
    assert face["box"] == [40, 50, 30, 20]
    assert (face["label"], face["score"]) == ("happy", 0.7)
    assert face["probabilities"] == {"angry": 0.1, "happy": 0.7, "sad": 0.2}


def test_each_frame_is_one_line_even_without_faces():
    stream = io.StringIO()
    sink = JsonLines(stream)
    for index in range(3):
        sink.write(result(index, faces=0))
    sink.close()
    lines = stream.getvalue().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2]
    assert json.loads(lines[0])["faces"] == []
    assert not stream.closed


def test_a_photos_line_names_the_file():
    stream = io.StringIO()
    JsonLines(stream).write(result(name="grüße.jpg"))
    assert json.loads(stream.getvalue())["file"] == "grüße.jpg"


def test_text_says_who_looks_how():
    assert "happy 70%" in describe(result(name="a.jpg"))
    assert "a.jpg" in describe(result(name="a.jpg"))
    assert "no face" in describe(result(faces=0))


def test_a_moving_source_rewrites_one_line_on_a_terminal_only():
    for stream, live, lines in (
        (Terminal(), True, 1),
        (Terminal(), False, 2),
        (io.StringIO(), True, 2),
    ):
        sink = TextLines(stream, live=live)
        sink.write(result(0))
        sink.write(result(1))
        sink.close()
        assert stream.getvalue().count("\n") == lines
        assert stream.getvalue().endswith("\n")


def test_annotation_changes_pixels_near_the_box_only():
    drawn = result(size=(480, 640), box=(300.0, 200.0, 80.0, 90.0))
    before = drawn.frame.image.copy()
    changed = (annotate(drawn) != before).any(-1)
    rows, columns = np.nonzero(changed)
    assert np.array_equal(drawn.frame.image, before)
    assert changed[200, 300:380].all()
    assert rows.min() >= 200 - 40
    assert rows.max() <= 290 + 3
    assert columns.min() >= 300 - 5
    assert columns.max() <= 300 + 160
    assert not changed[210:280, 310:370].any()


@pytest.mark.parametrize("box", [(-50.0, -60.0, 500.0, 500.0), (1000.0, 1000.0, 5.0, 5.0)])
def test_a_box_over_the_border_is_drawn_as_far_as_it_goes(box):
    assert annotate(result(box=box)).shape == (96, 128, 3)


@pytest.mark.parametrize("suffix", VIDEO_CODECS)
@pytest.mark.parametrize("count", [1, 30])
def test_every_frame_is_in_the_video(tmp_path, suffix, count):
    path = tmp_path / "below" / f"out{suffix}"
    recorder = open_recorder(path, single=False, fps=10.0, force=False)
    for index in range(count):
        recorder.write(result(index, size=(97, 129)))
    assert not path.exists()
    recorder.close()
    frames = frames_in(path)
    assert len(frames) == count
    assert frames[0].shape[0] in (96, 97)
    assert list(path.parent.iterdir()) == [path]


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path):
    recorder = open_recorder(tmp_path / "out.avi", single=False, fps=10.0, force=False)
    recorder.write(result(0))
    recorder.write(result(1, size=(200, 100)))
    recorder.close()
    assert [frame.shape for frame in frames_in(tmp_path / "out.avi")] == [(96, 128, 3)] * 2


def test_a_source_without_a_frame_rate_still_records(tmp_path):
    recorder = open_recorder(tmp_path / "out.mp4", single=False, fps=0.0, force=False)
    recorder.write(result(0))
    recorder.close()
    assert len(frames_in(tmp_path / "out.mp4")) == 1


def test_a_recording_of_nothing_leaves_nothing(tmp_path):
    open_recorder(tmp_path / "out.mp4", single=False, fps=10.0, force=False).close()
    assert list(tmp_path.iterdir()) == []


def test_one_photo_becomes_one_picture(tmp_path):
    path = tmp_path / "out.png"
    recorder = open_recorder(path, single=True, fps=0.0, force=False)
    recorder.write(result(name="in.jpg"))
    recorder.close()
    assert np.array_equal(cv2.imread(str(path)), annotate(result(name="in.jpg")))
    assert list(tmp_path.iterdir()) == [path]


def test_photos_become_a_folder_of_pictures_with_their_names(tmp_path):
    recorder = open_recorder(tmp_path / "out", single=False, fps=0.0, force=False)
    for index, name in enumerate(["b.jpg", "a.png"]):
        recorder.write(result(index, name=name))
    recorder.close()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_photos_of_one_stem_do_not_overwrite_each_other(tmp_path):
    recorder = open_recorder(tmp_path / "out", single=False, fps=0.0, force=False)
    for index, name in enumerate(["a.jpg", "a.png", "a.webp"]):
        recorder.write(result(index, name=name))
    recorder.close()
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_frames_of_a_video_become_numbered_pictures_in_order(tmp_path):
    recorder = open_recorder(tmp_path / "out", single=False, fps=10.0, force=False)
    for index in range(11):
        recorder.write(result(index))
    recorder.close()
    pictures = sorted((tmp_path / "out").iterdir())
    assert [cv2.imread(str(p))[0, 0, 0] for p in pictures] == [30 + i for i in range(11)]


@pytest.mark.parametrize("name", ["out.mp4", "out.png", "out"])
def test_an_existing_recording_is_not_replaced_without_force(tmp_path, name):
    path = tmp_path / name
    path.write_text("precious")
    with pytest.raises(OutputError, match="--force"):
        open_recorder(path, single=True, fps=10.0, force=False)
    assert path.read_text() == "precious"


def test_force_replaces_a_video_when_the_new_one_is_whole(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("precious")
    recorder = open_recorder(path, single=False, fps=10.0, force=True)
    recorder.write(result())
    assert path.read_text() == "precious"
    recorder.close()
    assert len(frames_in(path)) == 1


@pytest.mark.parametrize(
    ("name", "single"), [("out.txt", True), ("out.gif", False), ("out.png", False)]
)
def test_a_suffix_that_does_not_fit_is_refused(tmp_path, name, single):
    with pytest.raises(OutputError, match=name):
        open_recorder(tmp_path / name, single=single, fps=10.0, force=False)


def test_a_full_disk_stops_before_the_first_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 1000, 1000))
    recorder = open_recorder(tmp_path / "out.mp4", single=False, fps=10.0, force=False)
    with pytest.raises(OutputError, match="disk full"):
        recorder.write(result())
    recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_stops_and_keeps_what_was_recorded(tmp_path, monkeypatch):
    free = iter([10**9, 10**9, 1000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, next(free)))
    recorder = open_recorder(tmp_path / "out.mp4", single=False, fps=10.0, force=False)
    with pytest.raises(OutputError, match="disk full"):
        for index in range(1000):
            recorder.write(result(index % 200))
    recorder.close()
    assert len(frames_in(tmp_path / "out.mp4")) == 2 * sinks.CHECK_DISK_EVERY


def test_a_video_that_lacks_frames_is_reported_and_removed(tmp_path, monkeypatch):
    recorder = VideoRecorder(tmp_path / "out.mp4", fps=10.0)
    recorder.write(result(0))
    lossy = recorder._writer
    monkeypatch.setattr(
        recorder,
        "_writer",
        namedtuple("Lossy", "write release")(lambda picture: None, lossy.release),
    )
    recorder.write(result(1))
    with pytest.raises(OutputError, match="incomplete"):
        recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_a_recording_below_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("x")
    for name, single in (("out.mp4", False), ("out.png", True), ("out", False)):
        recorder = open_recorder(tmp_path / "file" / name, single=single, fps=9.0, force=False)
        with pytest.raises(OutputError):
            recorder.write(result())
