import importlib.machinery
import itertools
import struct
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_fer.errors import SourceError
from edge_fer.runtime.images import list_images, read_image
from edge_fer.runtime.sources import open_source

CODECS = {"clip.mp4": "mp4v", "clip.avi": "MJPG"}


def picture(path, value=100, size=(40, 60)):
    assert cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))
    return path


def video(folder, name, count=8, fps=10.0):
    path = folder / name
    if name.endswith(".gif"):
        if not hasattr(cv2, "imwriteanimation"):
            pytest.skip(f"OpenCV {cv2.__version__} writes no GIF")
        animation = cv2.Animation()
        animation.frames = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(count)]
        animation.durations = np.full(count, round(1000 / fps), np.int32)
        assert cv2.imwriteanimation(str(path), animation)
        return path
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODECS[name]), fps, (64, 48))
    for index in range(count):
        writer.write(np.full((48, 64, 3), 20 * index % 256, np.uint8))
    writer.release()
    return path


def read_all(spec):
    with open_source(str(spec)) as source:
        return list(source)


def test_a_photo_is_one_frame_with_its_name(tmp_path):
    path = picture(tmp_path / "face.png")
    with open_source(str(path)) as source:
        assert source.single
        (frame,) = source
    assert (frame.index, frame.t_s, frame.name) == (0, 0.0, "face.png")
    assert frame.image.shape == (40, 60, 3)
    assert frame.capture_ms > 0


def test_a_folder_gives_its_photos_by_name_and_nothing_else(tmp_path):
    for value, name in ((30, "c.png"), (10, "a.jpg"), (20, "b.JPEG")):
        picture(tmp_path / name.lower(), value).rename(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    frames = read_all(tmp_path)
    assert [frame.name for frame in frames] == ["a.jpg", "b.JPEG", "c.png"]
    assert [int(frame.image.mean()) for frame in frames] == [10, 20, 30]
    assert [frame.index for frame in frames] == [0, 1, 2]


def test_a_folder_of_one_photo_is_still_a_folder(tmp_path):
    picture(tmp_path / "a.png")
    with open_source(str(tmp_path)) as source:
        assert not source.single


@pytest.mark.parametrize("name", [*CODECS, "clip.gif"])
def test_a_video_gives_all_its_frames_in_order(tmp_path, name):
    frames = read_all(video(tmp_path, name))
    assert [frame.index for frame in frames] == list(range(8))
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    brightness = [float(frame.image.mean()) for frame in frames]
    assert np.allclose(brightness, [20 * i for i in range(8)], atol=6)


@pytest.mark.parametrize("name", [*CODECS, "clip.gif"])
def test_a_frame_carries_its_own_time_in_the_video(tmp_path, name):
    frames = read_all(video(tmp_path, name, fps=10.0))
    assert np.allclose([frame.t_s for frame in frames], np.arange(8) / 10, atol=0.011)


def test_a_video_knows_its_frame_rate(tmp_path):
    with open_source(str(video(tmp_path, "clip.mp4", fps=12.5))) as source:
        assert source.fps == pytest.approx(12.5)
        assert not source.single


@pytest.mark.parametrize("spec", ["99", "/dev/video99"])
def test_a_missing_camera_is_refused_by_its_device(spec):
    with pytest.raises(SourceError, match="/dev/video99"):
        open_source(spec)


def test_without_picamera2_and_cameras_there_is_no_camera(monkeypatch):
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda p: not str(p).startswith("/dev/video") and exists(p))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SourceError, match="no such camera"):
        open_source("camera")


@pytest.mark.parametrize("name", ["text.jpg", "text.png", "text.mp4", "text.gif", "text.txt"])
def test_a_text_file_of_any_name_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_text("no picture at all")
    with pytest.raises(SourceError, match=name):
        read_all(tmp_path / name)


@pytest.mark.parametrize("name", ["empty.jpg", "empty.mp4"])
def test_an_empty_file_is_refused_by_name(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=name):
        read_all(tmp_path / name)


def test_a_truncated_video_is_refused_or_ends_early(tmp_path):
    path = video(tmp_path, "clip.avi", count=30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        frames = read_all(path)
    except SourceError:
        return
    assert 0 < len(frames) < 30


def test_an_empty_folder_is_refused_with_what_is_looked_for(tmp_path):
    with pytest.raises(SourceError, match=r"\.jpg"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", ["none.jpg", "none.mp4", "none"])
def test_a_missing_source_is_refused_by_name(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=name):
        open_source(name)


def with_orientation(jpeg, orientation):
    """Puts an EXIF block with an orientation behind the first marker of a JPEG."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def test_a_photo_is_turned_upright_by_its_exif_orientation(tmp_path):
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, 32:] = 255
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    path = tmp_path / "turned.jpg"
    path.write_bytes(with_orientation(jpeg, 6))
    upright = read_image(path)
    assert upright.shape == (64, 32, 3)
    assert upright[:28].mean() < 5 < 250 < upright[36:].mean()


def test_a_gray_photo_is_read_as_three_channels(tmp_path):
    path = tmp_path / "gray.png"
    cv2.imwrite(str(path), np.full((20, 30), 77, np.uint8))
    assert read_image(path).shape == (20, 30, 3)


def test_names_outside_ascii_are_read(tmp_path):
    picture(tmp_path / "a.png").rename(tmp_path / "grüße 笑.png")
    assert read_image(tmp_path / "grüße 笑.png").shape == (40, 60, 3)
    assert [path.name for path in list_images(tmp_path)] == ["grüße 笑.png"]


class FakePicamera2:
    """What this package uses of picamera2, on a camera that shows a gray ramp."""

    def __init__(self):
        self.calls = []
        FakePicamera2.last = self

    def create_video_configuration(self, main):
        return main

    def configure(self, main):
        self.main = main

    def start(self):
        self.calls.append("start")

    def capture_array(self, name):
        assert name == "main"
        width, height = self.main["size"]
        return np.full((height, width, 3), len(self.calls), np.uint8)

    def stop(self):
        self.calls.append("stop")

    def close(self):
        self.calls.append("close")


def test_a_pi_camera_gives_frames_and_is_closed(monkeypatch):
    module = types.ModuleType("picamera2")
    module.Picamera2 = FakePicamera2
    module.__spec__ = importlib.machinery.ModuleSpec("picamera2", None)
    monkeypatch.setitem(sys.modules, "picamera2", module)
    with open_source("camera") as source:
        frames = list(itertools.islice(source, 3))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert all(frame.image.shape == (480, 640, 3) for frame in frames)
    assert FakePicamera2.last.main["format"] == "RGB888"
    assert FakePicamera2.last.calls == ["start", "stop", "close"]
