import logging
import os
import shutil
import stat
import sys
import time
from itertools import islice, pairwise

import numpy as np
import pytest

from edge_fer.errors import SourceError
from edge_fer.runtime.sources import gstreamer
from edge_fer.runtime.sources.gstreamer import GstCamera, csi_pipeline
from edge_fer.runtime.sources.opening import open_source
from tests.runtime.cameras import eventually

LAUNCH = f"""#!{sys.executable}
# Stands for gst-launch-1.0: the first word of the pipeline says what to do.
import os, re, signal, sys, time

assert sys.argv[1] == "-q", sys.argv
do, argument, *_ = [*sys.argv[2].split("="), "0"]
caps = sys.argv[-4]
width, height = (int(re.search(name + "=([0-9]+)", caps)[1]) for name in ("width", "height"))
assert "format=BGR," in caps, caps
assert sys.argv[-2:] == ["fdsink", "sync=false"]
size = 3 * width * height
folder = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(folder, "pids"), "a") as log:
    log.write(str(os.getpid()) + "\\n")
with open(os.path.join(folder, "arguments"), "w") as log:
    log.write("\\n".join(sys.argv[2:]))

def frame(value):
    sys.stdout.buffer.write(bytes([value]) * size)
    sys.stdout.buffer.flush()

if do == "frames":
    for value in range(int(argument)):
        frame(value)
elif do == "forever":
    while True:
        frame(7)
        time.sleep(0.005)
elif do == "short":
    frame(1)
    sys.stdout.buffer.write(b"x" * (size // 2))
elif do == "dies":
    frame(1)
    frame(2)
    error = "ERROR: from element rtspsrc0: no rtsp://me:geheim@host/x"
    print("chatter", error, "more", sep="\\n", file=sys.stderr)
    sys.exit(1)
elif do == "refuses":
    print("WARNING: erroneous pipeline: no element", file=sys.stderr)
    sys.exit(1)
elif do == "talks":
    for value in range(20):
        sys.stderr.write("WARNING: late\\n" * 1000)
        sys.stderr.flush()
        frame(value)
elif do == "stubborn":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    frame(1)
    time.sleep(1000)
elif do == "silent":
    time.sleep(1000)
"""

real = pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="no GStreamer here")


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """Puts the fake first in PATH; gives a function that returns the ids it ran under."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "gst-launch-1.0"
    program.write_text(LAUNCH)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def pids():
        return [int(line) for line in (folder / "pids").read_text().split()]

    pids.folder = folder
    yield pids
    if (folder / "pids").exists():
        assert not [pid for pid in pids() if exists(pid)]


def exists(pid):
    """Whether a process is there, be it as a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_frames_come_through_in_order_and_in_the_size_asked_for(launch):
    with open_source("gst:frames=5", size=(32, 18), every_frame=True) as source:
        assert source.live
        assert source.fps == 30
        frames = list(islice(source, 5))
    assert [frame.image.shape for frame in frames] == [(18, 32, 3)] * 5
    assert [frame.image.min() for frame in frames] == list(range(5))
    assert [frame.image.max() for frame in frames] == list(range(5))
    assert all(frame.image.flags.writeable for frame in frames)


def test_quotes_in_a_pipeline_are_those_of_a_shell(launch):
    with open_source("gst:forever location='a b' ! \"x,y=(string)z\"", size=(8, 4)) as source:
        next(iter(source))
    words = (launch.folder / "arguments").read_text().splitlines()
    assert words[:4] == ["forever", "location=a b", "!", "x,y=(string)z"]


def test_a_pipeline_that_goes_on_is_stopped_and_reaped(launch):
    with open_source("gst:forever", size=(8, 4)) as source:
        list(islice(source, 3))
        (pid,) = launch()
        assert exists(pid)
    assert not exists(pid)


def test_a_pipeline_that_does_not_listen_is_killed(launch, monkeypatch):
    monkeypatch.setattr(gstreamer, "STOP_S", 0.05)
    with open_source("gst:stubborn", size=(8, 4)) as source:
        next(iter(source))
        (pid,) = launch()
    assert not exists(pid)


def test_a_pipeline_that_dies_is_started_again(launch, caplog):
    caplog.set_level(logging.INFO, "edge_fer.sources")
    with open_source("gst:dies", size=(8, 4), every_frame=True, retry_s=20) as source:
        frames = list(islice(source, 4))
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2, 1, 2]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert all(a.t_s < b.t_s for a, b in pairwise(frames))
    assert 2 <= len(launch()) <= 3
    line = "gst:dies: lost: the pipeline ended: ERROR: from element rtspsrc0: no rtsp://***@host/x"
    assert caplog.messages[0] == f"{line}; looking for it"
    assert "geheim" not in caplog.text


def test_less_than_a_frame_is_no_frame(launch):
    camera = GstCamera("short", (8, 4))
    assert camera.read()[0, 0, 0] == 1
    with pytest.raises(SourceError, match="the pipeline ended"):
        camera.read()
    camera.close()


def test_many_messages_do_not_block_the_pipeline(launch):
    camera = GstCamera("talks", (8, 4))
    assert [camera.read()[0, 0, 0] for _ in range(20)] == list(range(20))
    camera.close()


@pytest.mark.parametrize(
    ("spec", "size", "message"),
    [
        ("gst:refuses", (8, 4), "gst:refuses: the pipeline gave no video: WARNING: erroneous"),
        ("gst:frames=0", (8, 4), "gst:frames=0: the pipeline gave no video$"),
        ("gst:silent", (8, 4), r"gst:silent: the pipeline gave nothing for 0\.2 s"),
        ("gst:forever", (6, 4), "6 pixels wide: GStreamer needs a multiple of 4"),
        ("gst:'", (8, 4), "the pipeline cannot be read: No closing quotation"),
    ],
)
def test_a_pipeline_that_gives_no_video_is_refused(launch, monkeypatch, spec, size, message):
    if spec == "gst:silent":
        monkeypatch.setattr(gstreamer, "OPEN_S", 0.2)
        monkeypatch.setattr(gstreamer, "STOP_S", 0.2)
    with pytest.raises(SourceError, match=message):
        open_source(spec, size=size)


def test_without_gstreamer_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"gst-launch-1\.0 is not installed: sudo apt install"):
        open_source("gst:videotestsrc")


def test_a_jetsons_camera_is_a_pipeline(launch):
    words = csi_pipeline(1, (640, 480)).split()
    assert words[:2] == ["nvarguscamerasrc", "sensor-id=1"]
    assert "video/x-raw(memory:NVMM),width=640,height=480,framerate=30/1" in words
    with pytest.raises(SourceError, match="csi:1: the pipeline gave no video"):
        open_source("csi:1")


@real
@pytest.mark.parametrize(
    "caps",
    [
        "video/x-raw,format=RGB",
        "video/x-raw,format=RGB ! jpegenc quality=100 ! jpegdec",
        "video/x-raw,format=I420,colorimetry=bt601",
        "video/x-raw,format=NV12,colorimetry=bt709",
        "video/x-raw,format=YUY2,colorimetry=bt601",
    ],
)
def test_colours_are_right_whatever_the_pipeline_speaks(caps):
    source = f"gst:videotestsrc pattern=solid-color foreground-color=0xff4080c0 ! {caps}"
    with open_source(source, size=(64, 48)) as opened:
        image = next(iter(opened)).image
    assert np.abs(image.mean((0, 1)) - (0xC0, 0x80, 0x40)).max() <= 4


@real
def test_a_wide_picture_keeps_its_shape():
    spec = "gst:videotestsrc pattern=white ! video/x-raw,width=640,height=320"
    with open_source(spec, size=(64, 64)) as source:
        image = next(iter(source)).image
    assert image[:12].max() < 8
    assert image[-12:].max() < 8
    assert image[20:44].min() > 240


@real
def test_real_processes_are_reaped():
    started = time.monotonic()
    for _ in range(3):
        camera = GstCamera("videotestsrc is-live=true", (64, 48))
        camera.read()
        camera.close()
        eventually(lambda camera=camera: not exists(camera._child.pid))
    assert time.monotonic() - started < 15
