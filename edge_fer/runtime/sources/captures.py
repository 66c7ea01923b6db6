"""What OpenCV reads: videos and GIFs, V4L2 cameras, network streams."""

import logging
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge_fer.errors import SourceError
from edge_fer.runtime.frame import Closing, Frame
from edge_fer.runtime.sources.latest import MAX_BAD_FRAMES

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_log = logging.getLogger("edge_fer.sources")

#: Of network streams. A read that takes longer fails, and so does every later one.
OPEN_MS, READ_MS = 10_000, 8_000
#: With a single buffer, cameras that fill one while the other is decoded give half their frames.
V4L2_BUFFERS = 2
#: From this size on, uncompressed frames are too much for USB 2.
MJPG_PIXELS = 640 * 480
#: Of cameras and streams that name none, or one that cannot be (FFmpeg's 90 kHz clock).
USUAL_FPS, MAX_FPS = 30.0, 1000.0


class CaptureSource(Closing):
    """A video or GIF: every frame, in order.

    Frames that cannot be decoded are left out, and counted in the next one's ``dropped``; ten in a
    row are the end.

    Args:
        target: A file, or the URL of one.
        name: What to call it in messages.

    Raises:
        SourceError: OpenCV cannot read it; while iterating, if there is no frame in it.
    """

    def __init__(self, target: Path | str, name: str) -> None:
        self._name, self._capture = name, cv2.VideoCapture(str(target))
        if not self._capture.isOpened():
            raise SourceError(f"{name}: not a video that OpenCV can read")
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))

    def __iter__(self) -> Iterator[Frame]:
        index = bad = 0
        while bad < MAX_BAD_FRAMES:
            started_s = time.monotonic()
            image = _read(self._capture)
            if image is None:
                bad += 1
                continue
            if bad:
                _log.warning("%s: %d frames before the next cannot be decoded", self._name, bad)
            capture_ms = 1e3 * (time.monotonic() - started_s)
            media_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            yield Frame(index + bad, media_s, image, capture_ms, dropped=bad)
            index, bad = index + bad + 1, 0
        if index == 0:
            raise SourceError(f"{self._name}: no frame in it can be decoded")

    def close(self) -> None:
        """Frees the file."""
        self._capture.release()


class Playback:
    """A camera that shows a video at its own pace, once.

    Args:
        source: The video; the camera closes it.
    """

    def __init__(self, source: CaptureSource) -> None:
        self.fps = source.fps
        self._source, self._frames = source, iter(source)
        self._stopped = threading.Event()
        self._started_s: float | None = None

    def read(self) -> np.ndarray:
        """Returns the next frame when its time has come.

        Raises:
            EOFError: The video is over.
        """
        frame = next(self._frames, None)
        if frame is None:
            raise EOFError
        if self._started_s is None:
            self._started_s = time.monotonic() - frame.t_s
        self._stopped.wait(self._started_s + frame.t_s - time.monotonic())
        return frame.image

    def interrupt(self) -> None:
        """Ends the wait for the next frame."""
        self._stopped.set()

    def close(self) -> None:
        """Frees the file."""
        self._source.close()


class CaptureCamera:
    """A camera or stream that OpenCV reads.

    Attributes:
        finite: Whether it is no stream but a video with an end.
    """

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self.finite = capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if 0 < fps <= MAX_FPS else USUAL_FPS

    def read(self) -> np.ndarray | None:
        """Waits for the next frame."""
        return _read(self._capture)

    def interrupt(self) -> None:
        """Does nothing: OpenCV's own time limits end a read that blocks."""

    def close(self) -> None:
        """Frees the device."""
        self._capture.release()


def open_v4l2(device: str, size: tuple[int, int]) -> CaptureCamera:
    """Opens a V4L2 camera.

    Args:
        device: ``/dev/videoN``, or a link to it, which is followed anew every time:
            ``/dev/v4l/by-id/...`` finds a camera that came back under another number.
        size: Width and height to ask for, pixels; the camera takes what is nearest.

    Raises:
        SourceError: There is none, or it cannot be opened.
    """
    if not Path(device).exists():
        raise SourceError("no such camera")
    found = re.fullmatch(r"/dev/video(\d+)", str(Path(device).resolve()))
    if found is None:
        raise SourceError("not a camera: those are /dev/videoN")
    capture = cv2.VideoCapture(int(found[1]), cv2.CAP_V4L2)
    if not capture.isOpened():
        raise SourceError("not a camera that can be opened")
    if size[0] * size[1] >= MJPG_PIXELS:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
    capture.set(cv2.CAP_PROP_BUFFERSIZE, V4L2_BUFFERS)
    return CaptureCamera(capture)


def first_v4l2() -> str:
    """Returns the V4L2 device of the lowest number, ``/dev/video0`` if there is none."""
    numbers = [path.name.removeprefix("video") for path in Path("/dev").glob("video*")]
    return f"/dev/video{min((int(n) for n in numbers if n.isdecimal()), default=0)}"


def open_stream(url: str) -> CaptureCamera:
    """Opens an RTSP or HTTP stream through FFmpeg, RTSP over TCP.

    Args:
        url: Its address, of which no message says anything.

    Raises:
        SourceError: It cannot be opened within 10 s.
    """
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        raise SourceError("no stream there that FFmpeg can open")
    return CaptureCamera(capture)


def _read(capture: cv2.VideoCapture) -> np.ndarray | None:
    ok, image = capture.read()
    return image if ok and image is not None and image.size else None
