import http.server
import logging
import shutil
import subprocess
import threading
import time
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_fer.errors import SourceError
from edge_fer.runtime.sources import captures
from edge_fer.runtime.sources.captures import CaptureCamera, CaptureSource, first_v4l2, open_v4l2
from edge_fer.runtime.sources.latest import MAX_BAD_FRAMES
from edge_fer.runtime.sources.opening import open_source
from tests.runtime.cameras import eventually, picture

SECRET = "geheim"


class FakeCapture:
    """A ``cv2.VideoCapture`` that gives what it is told, then nothing."""

    def __init__(self, *items, opened=True, fps=12.0):
        self.items, self.opened, self.fps, self.calls = list(items), opened, fps, []

    def isOpened(self):
        return self.opened

    def get(self, what):
        return {cv2.CAP_PROP_FPS: self.fps}.get(what, 0.0)

    def set(self, what, value):
        self.calls.append((what, value))
        return True

    def read(self):
        image = self.items.pop(0) if self.items else None
        return image is not None, image

    def release(self):
        self.calls.append("release")


@pytest.fixture
def fake(monkeypatch):
    def install(capture):
        capture.arguments = []
        monkeypatch.setattr(
            cv2, "VideoCapture", lambda *arguments: capture.arguments.append(arguments) or capture
        )
        return capture

    return install


@pytest.fixture
def devices(monkeypatch):
    """Makes /dev/video7 exist."""
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda p: "video7" in str(p.resolve()) or exists(p))


def clip(path, count=10, fps=20.0):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (64, 48))
    for index in range(count):
        writer.write(np.full((48, 64, 3), 20 * index, np.uint8))
    writer.release()
    return path


def test_frames_of_a_video_that_cannot_be_decoded_are_left_out_and_counted(fake, caplog):
    empty = np.empty((0, 0, 3), np.uint8)
    fake(FakeCapture(picture(1), None, empty, picture(2), picture(3)))
    with CaptureSource("clip.avi", "clip.avi") as source:
        frames = list(source)
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2, 3]
    assert [(frame.index, frame.dropped) for frame in frames] == [(0, 0), (3, 2), (4, 0)]
    (line,) = caplog.messages
    assert line == "clip.avi: 2 frames before the next cannot be decoded"


def test_many_bad_frames_in_a_row_are_the_end_of_a_video(fake):
    fake(FakeCapture(picture(1), *[None] * MAX_BAD_FRAMES, picture(2)))
    assert len(list(CaptureSource("clip.avi", "clip.avi"))) == 1


def test_a_video_of_bad_frames_is_an_error(fake):
    fake(FakeCapture(None, None))
    with pytest.raises(SourceError, match=r"clip\.avi: no frame in it can be decoded"):
        list(CaptureSource("clip.avi", "clip.avi"))


def test_frames_that_change_their_size_pass_through(fake):
    fake(FakeCapture(picture(1, (4, 6)), picture(1, (8, 6))))
    shapes = [frame.image.shape for frame in CaptureSource("clip.avi", "clip.avi")]
    assert shapes == [(4, 6, 3), (8, 6, 3)]


@pytest.mark.parametrize("name", ["h264.mp4", "palette.gif", "ffv1.mkv", "vp8.webm"])
def test_what_ffmpeg_writes_is_read(tmp_path, name):
    ffmpeg = shutil.which("ffmpeg") or pytest.skip("no ffmpeg here")
    test_picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10", "-t", "1"]
    subprocess.run([ffmpeg, "-v", "error", *test_picture, tmp_path / name], check=True)
    with open_source(str(tmp_path / name)) as source:
        frames = list(source)
        assert source.fps == pytest.approx(10)
    assert [frame.index for frame in frames] == list(range(10))
    assert np.allclose([frame.t_s for frame in frames], np.arange(10) / 10, atol=0.011)
    assert all(frame.age_ms == 0 for frame in frames)


def test_a_v4l2_camera_is_asked_for_its_size_as_jpeg_with_few_buffers(fake, devices):
    capture = fake(FakeCapture(picture(1), fps=25.0))
    with open_source("7", size=(1280, 720)) as source:
        assert next(iter(source)).image[0, 0, 0] == 1
        assert source.fps == 25
    assert capture.arguments == [(7, cv2.CAP_V4L2)]
    assert capture.calls == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_BUFFERSIZE, 2),
        "release",
    ]


def test_small_v4l2_frames_come_as_the_camera_likes(fake, devices):
    capture = fake(FakeCapture())
    open_v4l2("/dev/video7", (320, 240))
    assert cv2.CAP_PROP_FOURCC not in [call[0] for call in capture.calls]


def test_a_link_to_a_camera_is_followed_at_each_opening(fake, devices, tmp_path):
    capture = fake(FakeCapture())
    link = tmp_path / "by-id"
    link.symlink_to("/dev/video7")
    open_v4l2(str(link), (320, 240))
    assert capture.arguments == [(7, cv2.CAP_V4L2)]


def test_what_is_no_camera_is_refused(fake, devices):
    with pytest.raises(SourceError, match="/dev/null: not a camera"):
        open_source("/dev/null")
    fake(FakeCapture(opened=False))
    with pytest.raises(SourceError, match="/dev/video7: not a camera that can be opened"):
        open_source("/dev/video7")


@pytest.mark.parametrize("fps", [0.0, -1.0, 90_000.0, float("nan")])
def test_a_frame_rate_that_cannot_be_is_taken_for_30(fps):
    assert CaptureCamera(FakeCapture(fps=fps)).fps == 30


def test_the_first_camera_has_the_lowest_number(monkeypatch):
    names = ["/dev/video10", "/dev/video2", "/dev/video-enc"]
    monkeypatch.setattr(Path, "glob", lambda *_: map(Path, names))
    assert first_v4l2() == "/dev/video2"
    names.clear()
    assert first_v4l2() == "/dev/video0"


def test_a_video_can_be_played_in_real_time(tmp_path):
    path = clip(tmp_path / "clip.avi", count=10, fps=20.0)
    with open_source(str(path), every_frame=False) as source:
        assert source.live
        assert source.fps == 20
        frames = list(source)
    assert frames[-1].index - frames[0].index == sum(f.dropped for f in frames) + len(frames) - 1
    gaps = [(b.t_s - a.t_s) / (b.index - a.index) for a, b in pairwise(frames)]
    assert np.median(gaps) == pytest.approx(0.05, abs=0.02)


def test_a_slow_reader_of_a_played_video_loses_frames_and_gets_no_old_ones(tmp_path):
    path = clip(tmp_path / "clip.avi", count=12, fps=40.0)
    frames = []
    with open_source(str(path), every_frame=False) as source:
        for frame in source:
            frames.append(frame)
            busy_until = time.monotonic() + 0.1
            eventually(lambda until=busy_until: time.monotonic() > until)
    assert 2 <= len(frames) < 8
    assert any(frame.dropped >= 2 for frame in frames)
    assert [a.index + 1 + b.dropped for a, b in pairwise(frames)] == [f.index for f in frames[1:]]
    brightness = [frame.image.mean() for frame in frames]
    assert np.allclose(np.diff(brightness), 20 * np.diff([f.index for f in frames]), atol=8)
    assert frames[-1].image.mean() == pytest.approx(220, abs=6)


def test_a_played_video_stops_in_the_middle_of_a_wait(tmp_path):
    path = clip(tmp_path / "clip.avi", count=3, fps=0.05)
    started = time.monotonic()
    with open_source(str(path), every_frame=False) as source:
        next(iter(source))
    assert time.monotonic() - started < 5


class Streamer(http.server.BaseHTTPRequestHandler):
    """MJPEG as cameras serve it, and files."""

    def do_GET(self):
        if self.path.startswith("/clip.avi"):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.clip)))
            self.end_headers()
            self.wfile.write(self.server.clip)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            while self.server.may_send.wait() and not self.server.stopped.wait(0.01):
                self.send_frame()
        except OSError:
            pass

    def send_frame(self):
        jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), self.server.value, np.uint8))[1].tobytes()
        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
        self.wfile.write(head + jpeg + b"\r\n")

    def log_message(self, *_):
        pass


class StreamServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port=0, value=50, clip=b""):
        super().__init__(("127.0.0.1", port), Streamer)
        self.value, self.clip = value, clip
        self.stopped, self.may_send = threading.Event(), threading.Event()
        self.may_send.set()
        self.url = f"http://user:{SECRET}@127.0.0.1:{self.server_port}/live?token={SECRET}"
        threading.Thread(target=self.serve_forever, args=[0.01], daemon=True).start()

    def stop(self):
        self.stopped.set()
        self.may_send.set()
        self.shutdown()
        self.server_close()


@pytest.fixture
def server():
    server = StreamServer()
    yield server
    server.stop()


def test_an_mjpeg_stream_is_live(server):
    with open_source(server.url) as source:
        assert source.live
        assert 0 < source.fps <= 1000
        frames = list(islice(source, 5))
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)
    assert all(a.index < b.index and a.t_s < b.t_s for a, b in pairwise(frames))
    assert frames[-1].image.mean() == pytest.approx(50, abs=3)


def test_a_stream_that_ends_and_comes_back_goes_on(server, caplog):
    caplog.set_level(logging.INFO, "edge_fer.sources")
    with open_source(server.url, retry_s=20) as source:
        frames = iter(source)
        before = next(frames)
        server.stop()
        again = StreamServer(server.server_port, value=200)
        try:
            after = next(frame for frame in frames if frame.image.mean() > 150)
        finally:
            source.close()
            again.stop()
    assert after.t_s > before.t_s
    assert after.index > before.index
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert all(line.startswith("http://***@127.0.0.1:") for line in caplog.messages)
    assert SECRET not in caplog.text


def test_a_stream_that_stalls_is_lost(server, monkeypatch):
    monkeypatch.setattr(captures, "READ_MS", 200)
    with open_source(server.url, retry_s=0.5) as source:
        frames = iter(source)
        next(frames)
        server.may_send.clear()
        with pytest.raises(SourceError) as caught:
            list(frames)
    assert "not back within 0.5 s" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_stream_that_is_not_there_is_an_error_without_its_password(scheme, capfd):
    url = f"{scheme}://user:{SECRET}@127.0.0.1:1/live?key={SECRET}"
    with pytest.raises(SourceError) as caught:
        open_source(url)
    expected = f"{scheme}://***@127.0.0.1:1/live?***: no stream there that FFmpeg can open"
    assert str(caught.value) == expected
    assert SECRET not in "".join(capfd.readouterr())


def test_a_video_behind_a_url_has_every_frame_and_an_end(tmp_path):
    server = StreamServer(clip=clip(tmp_path / "clip.avi").read_bytes())
    try:
        with open_source(server.url.replace("/live", "/clip.avi")) as source:
            assert not source.live
            frames = list(source)
    finally:
        server.stop()
    assert [frame.index for frame in frames] == list(range(10))
