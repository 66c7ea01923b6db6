import os
import subprocess
import sys
from collections import namedtuple

import cv2
import numpy as np
import pytest

from edge_fer.errors import OutputError
from edge_fer.runtime.outputs import recorders
from edge_fer.runtime.outputs.drawing import annotate
from edge_fer.runtime.outputs.recorders import (
    INDEX_BYTES_PER_FRAME,
    MIN_FREE_BYTES,
    VIDEO_CODECS,
    VideoRecorder,
    open_recorder,
    partial_path,
)
from tests.runtime.results import frames_in, result

FULL = MIN_FREE_BYTES // 2


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


def test_gray_frames_are_recorded_in_colour(tmp_path):
    recorder = open_recorder(tmp_path / "out.avi", single=False, fps=10.0, force=False)
    recorder.write(result(0, gray=True))
    recorder.write(result(1, gray=True, size=(200, 100)))
    recorder.close()
    frames = frames_in(tmp_path / "out.avi")
    assert len(frames) == 2
    assert np.abs(frames[0].astype(int) - annotate(result(0))).mean() < 4


def test_frames_of_a_camera_leave_no_names_behind(tmp_path):
    recorder = open_recorder(tmp_path / "out", single=False, fps=10.0, force=False)
    for index in range(3):
        recorder.write(result(index))
    assert not recorder._stems


def test_a_full_disk_stops_before_the_first_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(recorders, "_free_bytes", lambda _: FULL)
    recorder = open_recorder(tmp_path / "out.mp4", single=False, fps=10.0, force=False)
    with pytest.raises(OutputError, match="disk full"):
        recorder.write(result())
    recorder.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", VIDEO_CODECS)
def test_a_disk_that_fills_up_stops_and_keeps_what_was_recorded(tmp_path, monkeypatch, suffix):
    free = iter([10**9] * 7 + [FULL])
    monkeypatch.setattr(recorders, "_free_bytes", lambda _: next(free))
    path = tmp_path / f"out{suffix}"
    recorder = open_recorder(path, single=False, fps=10.0, force=False)
    with pytest.raises(OutputError, match=r"disk full .* 7 frames kept"):
        for index in range(100):
            recorder.write(result(index))
    recorder.close()
    assert len(frames_in(path)) == 7
    assert list(tmp_path.iterdir()) == [path]


def test_long_recordings_leave_room_for_their_index(tmp_path, monkeypatch):
    monkeypatch.setattr(recorders, "_free_bytes", lambda _: MIN_FREE_BYTES + 99)
    recorder = VideoRecorder(tmp_path / "out.avi", 10.0)
    frames_with_room = 99 // INDEX_BYTES_PER_FRAME + 1
    for index in range(frames_with_room):
        recorder.write(result(index))
    with pytest.raises(OutputError, match="disk full"):
        recorder.write(result())
    recorder.close()
    assert len(frames_in(tmp_path / "out.avi")) == frames_with_room


NOISE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)


def noisy(index):
    made = result(index % 200, size=NOISE.shape[:2])
    np.copyto(made.frame.image, np.roll(NOISE, index))
    return made


@pytest.mark.parametrize("suffix", VIDEO_CODECS)
def test_a_recording_on_a_disk_that_really_fills_up_plays_to_its_end(small_disk, suffix):
    path = small_disk / f"out{suffix}"
    recorder = open_recorder(path, single=False, fps=10.0, force=False)
    count = 0
    with pytest.raises(OutputError, match="disk full"):
        for index in range(10_000):
            recorder.write(noisy(index))
            count += 1
    recorder.close()
    assert len(frames_in(path)) == count > 5


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_disk_that_another_program_fills_costs_the_last_frames_only(
    small_disk, suffix, monkeypatch
):
    monkeypatch.setattr(recorders, "_free_bytes", lambda _: 10**9)
    path = small_disk / f"out{suffix}"
    recorder = open_recorder(path, single=False, fps=10.0, force=False)
    count = 0
    while _disk_free(small_disk):
        recorder.write(noisy(count))
        count += 1
    with pytest.raises(OutputError, match="less than the"):
        recorder.close()
    assert count - 5 <= len(frames_in(path)) <= count
    assert list(small_disk.iterdir()) == [path]


def test_an_mp4_without_room_for_its_index_stays_where_it_was_written(small_disk, monkeypatch):
    monkeypatch.setattr(recorders, "_free_bytes", lambda _: 10**9)
    path = small_disk / "out.mp4"
    recorder = open_recorder(path, single=False, fps=10.0, force=False)
    for index in range(1000):
        recorder.write(noisy(index))
        if not _disk_free(small_disk):
            break
    with pytest.raises(OutputError, match=partial_path(path).name):
        recorder.close()
    assert partial_path(path).stat().st_size > 5_000_000
    assert not path.exists()


def _disk_free(folder):
    return os.statvfs(folder).f_bavail


CUT_OFF = """
import os, sys
from pathlib import Path
from edge_fer.runtime.outputs.recorders import open_recorder
from tests.runtime.results import result

recorder = open_recorder(Path(sys.argv[1]), single=False, fps=10.0, force=False)
for index in range(200):
    recorder.write(result(index, size=(480, 640)))
os.kill(os.getpid(), 9)
"""


def test_a_recording_whose_process_was_killed_is_not_overwritten(tmp_path):
    path = tmp_path / "out.avi"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", CUT_OFF, str(path)]
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    with pytest.raises(OutputError, match="cut off"):
        open_recorder(path, single=False, fps=10.0, force=False)
    assert len(frames_in(partial_path(path))) > 100
    open_recorder(path, single=False, fps=10.0, force=True)


def test_a_video_that_lacks_frames_is_reported_and_kept(tmp_path, monkeypatch):
    recorder = VideoRecorder(tmp_path / "out.mp4", fps=10.0)
    recorder.write(result(0))
    lossy = recorder._writer
    monkeypatch.setattr(
        recorder,
        "_writer",
        namedtuple("Lossy", "write release")(lambda picture: None, lossy.release),
    )
    recorder.write(result(1))
    with pytest.raises(OutputError, match="less than the 2 frames"):
        recorder.close()
    assert len(frames_in(tmp_path / "out.mp4")) == 1


def test_a_picture_on_a_full_disk_leaves_the_earlier_ones_whole(small_disk):
    recorder = open_recorder(small_disk / "out", single=False, fps=0.0, force=False)
    count = 0
    with pytest.raises(OutputError, match="No space left"):
        for index in range(1000):
            recorder.write(noisy(index))
            count += 1
    pictures = list((small_disk / "out").iterdir())
    assert len(pictures) == count > 5
    assert all(cv2.imread(str(picture)) is not None for picture in pictures)


def test_a_recording_below_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("x")
    for name, single in (("out.mp4", False), ("out.png", True), ("out", False)):
        recorder = open_recorder(tmp_path / "file" / name, single=single, fps=9.0, force=False)
        with pytest.raises(OutputError):
            recorder.write(result())
