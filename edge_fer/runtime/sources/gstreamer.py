"""GStreamer pipelines, run by ``gst-launch-1.0`` in a process of their own.

Frames come through a pipe as raw BGR, converted by GStreamer, which knows which of the many kinds
of YUV they were. OpenCV needs no GStreamer for that; the wheels from PyPI have none.
"""

import contextlib
import fcntl
import os
import select
import shlex
import shutil
import signal
import subprocess

import numpy as np

from edge_fer.errors import SourceError
from edge_fer.runtime.sources.redact import redact

PROGRAM = "gst-launch-1.0"
PACKAGES = "gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
OPEN_S, STOP_S = 20.0, 1.0
PIPE_BYTES = 1 << 20


def csi_pipeline(sensor: int, size: tuple[int, int]) -> str:
    """Returns the pipeline of a Jetson's CSI camera, in pixels of ``size`` (width, height)."""
    width, height = size
    return (
        f"nvarguscamerasrc sensor-id={sensor} ! "
        f"video/x-raw(memory:NVMM),width={width},height={height},framerate=30/1 ! "
        "nvvidconv ! video/x-raw,format=BGRx"
    )


class GstCamera:
    """What a pipeline shows, scaled to one size, with black borders where the shape differs.

    Args:
        pipeline: As after ``gst-launch-1.0``, without a sink.
        size: Width, a multiple of 4, and height, pixels.

    Raises:
        SourceError: GStreamer is not there, or the pipeline gives no video.
    """

    fps = 30.0

    def __init__(self, pipeline: str, size: tuple[int, int]) -> None:
        if size[0] % 4:
            raise SourceError(f"{size[0]} pixels wide: GStreamer needs a multiple of 4")
        self._shape = (size[1], size[0], 3)
        self._child = _start(pipeline, size)
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._frames, self._errors = self._child.stdout.fileno(), self._child.stderr.fileno()
        self._said = b""
        os.set_blocking(self._errors, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._frames, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        try:
            self._wait_for_video()
        except BaseException:
            self.close()
            raise

    def read(self) -> np.ndarray:
        """Waits for the next frame.

        Raises:
            SourceError: The pipeline ended.
        """
        image = np.empty(self._shape, np.uint8)
        view, done = image.data.cast("B"), 0
        while done < len(view):
            count = os.readv(self._frames, [view[done:]])
            if count == 0:
                raise SourceError(f"the pipeline ended{self._why()}")
            done += count
        self._listen()
        return image

    def interrupt(self) -> None:
        """Ends the process, which ends a read that blocks."""
        self._child.send_signal(signal.SIGINT)
        try:
            self._child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()

    def close(self) -> None:
        """Ends the process and waits until it is gone."""
        self.interrupt()
        self._child.wait()
        for stream in (self._child.stdout, self._child.stderr):
            assert stream is not None
            stream.close()

    def _wait_for_video(self) -> None:
        poll = select.poll()
        poll.register(self._frames, select.POLLIN)
        events = poll.poll(1e3 * OPEN_S)
        if not events:
            raise SourceError(f"the pipeline gave nothing for {OPEN_S:g} s{self._why()}")
        if not events[0][1] & select.POLLIN:
            raise SourceError(f"the pipeline gave no video{self._why()}")

    def _listen(self) -> None:
        """Empties the pipe of messages, so that the child never waits for a reader."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._errors, 4096):
                self._said = (self._said + chunk)[-4096:]

    def _why(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP_S)
        self._listen()
        lines = self._said.decode("utf-8", "replace").splitlines()
        told = [line for line in lines if line.startswith(("ERROR", "WARNING"))] or lines[-1:]
        return f": {redact(told[0])}" if told else ""


def _start(pipeline: str, size: tuple[int, int]) -> "subprocess.Popen[bytes]":
    program = shutil.which(PROGRAM)
    if program is None:
        raise SourceError(f"{PROGRAM} is not installed: sudo apt install {PACKAGES}")
    try:
        words = shlex.split(pipeline)
    except ValueError as error:
        raise SourceError(f"the pipeline cannot be read: {error}") from error
    caps = f"video/x-raw,format=BGR,width={size[0]},height={size[1]},pixel-aspect-ratio=1/1"
    tail = ["!", "videoscale", "!", "videoconvert", "!", caps, "!", "fdsink", "sync=false"]
    return subprocess.Popen(
        [program, "-q", *words, *tail],
        bufsize=0,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
