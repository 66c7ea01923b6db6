import sys
import threading
import types
from concurrent.futures import TimeoutError as NotInTime
from importlib.machinery import ModuleSpec
from itertools import islice

import cv2
import numpy as np
import pytest

from edge_fer.errors import SourceError
from edge_fer.runtime.sources import picamera
from edge_fer.runtime.sources.opening import open_source
from tests.runtime.cameras import eventually

STRIDE = 64


class ColorSpace:
    """libcamera's, of which only the full-range one is used."""

    def __init__(self, name):
        self.name = name

    @classmethod
    def Sycc(cls):
        return cls("sYCC")


class FakePicamera2:
    """What is used of picamera2, with its habits.

    Rows of a stream are padded to a stride; RGB888 is BGR in memory and comes without the padding,
    YUV420 comes with it, as one array of luma over chroma; a capture that runs out of time leaves a
    job behind, in front of which ``stop`` waits for ever, whereas ``close`` ends the jobs first.
    """

    cameras = 1
    busy = False
    speaks = ("RGB888", "YUV420")
    made = None

    def __init__(self, camera_num=0):
        [{"Num": number} for number in range(self.cameras)][camera_num]
        if self.busy:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self.calls, self.count, self.stuck, self.unplugged = [], 0, False, False
        self.config = None
        self.made.append(self)

    def create_video_configuration(self, main=None, lores=None, colour_space=None):
        width, height = main["size"]
        main = {**main, "size": (width - width % 2, height - height % 2)}
        return {"main": main, "lores": lores, "colour_space": colour_space}

    def configure(self, config):
        assert isinstance(config["colour_space"], ColorSpace)
        main = config["main"]
        width = main["size"][0] * (3 if main["format"] == "RGB888" else 1)
        main["stride"] = -(-width // STRIDE) * STRIDE
        if main["format"] not in self.speaks:
            main["format"] = self.speaks[0]
        self.config = config

    def camera_configuration(self):
        return self.config

    def start(self):
        self.calls.append("start")

    def capture_array(self, name="main", wait=None):
        if self.unplugged:
            self.stuck = True
            raise NotInTime
        self.count += 1
        stream = self.config[name]
        (width, height), stride = stream["size"], stream["stride"]
        if stream["format"] == "RGB888":
            return np.full((height, width, 3), (10, 20, 30), np.uint8)
        planes = np.full((height * 3 // 2, stride), 128, np.uint8)
        planes[:height] = 255
        planes[:height, :width] = np.arange(height)[:, None] + self.count
        return planes

    def stop(self):
        assert not self.stuck, "waits for ever"
        self.calls.append("stop")

    def close(self):
        self.stuck = False
        self.calls.append("close")


@pytest.fixture
def camera_class(monkeypatch):
    class Own(FakePicamera2):
        pass

    Own.made = []
    module = types.ModuleType("picamera2")
    module.__spec__ = ModuleSpec("picamera2", None)
    module.Picamera2 = Own
    libcamera = types.ModuleType("libcamera")
    libcamera.ColorSpace = ColorSpace
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    return Own


@pytest.mark.parametrize("spec", ["picamera2", "picamera2:0", "camera"])
def test_colour_frames_are_bgr_and_the_camera_is_closed(camera_class, spec):
    with open_source(spec) as source:
        assert source.live
        assert source.fps == 30
        frames = list(islice(source, 3))
    assert all(frame.image.shape == (480, 640, 3) for frame in frames)
    assert frames[0].image[5, 5].tolist() == [10, 20, 30]
    (camera,) = camera_class.made
    assert camera.calls == ["start", "close"]


@pytest.mark.parametrize("size", [(640, 480), (100, 52)], ids=["packed", "padded"])
def test_gray_is_the_luma_plane_without_its_padding(camera_class, size):
    with open_source("picamera2", size=size, gray_ok=True, every_frame=True) as source:
        image = next(iter(source)).image
    width, height = size
    assert image.shape == (height, width)
    assert (image == (np.arange(height) + 1).astype(np.uint8)[:, None]).all()
    assert camera_class.made[0].config["main"]["format"] == "YUV420"
    assert camera_class.made[0].config["colour_space"].name == "sYCC"


def test_gray_is_a_view_that_opencv_takes(camera_class):
    camera = picamera.PiCamera(0, (100, 52), gray=True)
    image = camera.read()
    assert image.base is not None
    assert image.strides == (128, 1)
    copied = np.ascontiguousarray(image)
    assert np.array_equal(cv2.resize(image, (30, 20)), cv2.resize(copied, (30, 20)))
    camera.close()


def test_odd_sizes_are_what_the_camera_makes_of_them(camera_class):
    with open_source("picamera2", size=(101, 53), gray_ok=True) as source:
        assert next(iter(source)).image.shape == (52, 100)


def test_a_camera_that_gives_nothing_more_is_closed_and_opened_again(camera_class, caplog):
    with open_source("picamera2", retry_s=20) as source:
        frames = iter(source)
        first = next(frames)
        camera_class.made[0].unplugged = True
        eventually(lambda: camera_class.made[0].calls == ["start", "close"])
        while len(camera_class.made) == 1:
            last = next(frames)
    assert last.t_s > first.t_s
    assert [camera.calls for camera in camera_class.made] == [["start", "close"]] * 2
    assert caplog.messages[0] == "picamera2: lost: TimeoutError; looking for it"


def test_a_camera_number_that_is_not_there_is_refused(camera_class):
    with pytest.raises(SourceError, match="picamera2:3: no camera 3"):
        open_source("picamera2:3")


def test_a_busy_camera_is_refused(camera_class):
    camera_class.busy = True
    with pytest.raises(SourceError, match=r"picamera2: no camera 0 \(.*resource busy\)"):
        open_source("picamera2")


def test_a_camera_without_such_frames_is_refused_and_closed(camera_class):
    camera_class.speaks = ("YUYV",)
    with pytest.raises(SourceError, match="picamera2: the camera gives YUYV, not RGB888"):
        open_source("picamera2")
    assert camera_class.made[0].calls[-1] == "close"


def test_camera_falls_back_to_v4l2_if_no_camera_is_on_the_csi_port(camera_class):
    camera_class.cameras = 0
    with pytest.raises(SourceError, match=r"camera: picamera2 has none, and /dev/video\d+: "):
        open_source("camera")


def test_without_picamera2_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(SourceError, match="picamera2: no camera 0"):
        open_source("picamera2")


def test_no_thread_is_left(camera_class):
    with open_source("picamera2") as source:
        next(iter(source))
    assert "edge-fer camera" not in [thread.name for thread in threading.enumerate()]
