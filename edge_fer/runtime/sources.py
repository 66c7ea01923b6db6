"""Where frames come from: photos, videos, GIFs and cameras."""

import importlib.util
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2

from edge_fer.errors import SourceError
from edge_fer.runtime.frame import Frame, Source
from edge_fer.runtime.images import IMAGE_SUFFIXES, list_images, read_image

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

CAMERA_SIZE = (640, 480)


class _Closing:
    """``with`` support for sources: leaving the block closes them."""

    fps: float = 0.0
    single: bool = False
    live: bool = False

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the device or file."""


class PhotoSource(_Closing):
    """A photo, or every photo of a folder in the order of their names."""

    def __init__(self, path: Path) -> None:
        self._files = list_images(path)
        self.single = len(self._files) == 1 and path.is_file()

    def __iter__(self) -> Iterator[Frame]:
        for index, file in enumerate(self._files):
            started_at = time.perf_counter()
            image = read_image(file)
            yield Frame(index, 0.0, image, 1e3 * (time.perf_counter() - started_at), file.name)


class CaptureSource(_Closing):
    """A video, a GIF or a V4L2 camera, through OpenCV.

    Args:
        target: A file, or a camera's index.
        name: What to call it in messages.
    """

    def __init__(self, target: Path | int, name: str) -> None:
        self.live, self._name = isinstance(target, int), name
        self._capture = cv2.VideoCapture(target if isinstance(target, int) else str(target))
        if not self._capture.isOpened():
            what = "a camera that can be opened" if self.live else "a video that OpenCV can read"
            raise SourceError(f"{name}: not {what}")
        if self.live:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, CAMERA_SIZE[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, CAMERA_SIZE[1])
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS))

    def __iter__(self) -> Iterator[Frame]:
        opened_at = time.perf_counter()
        index = 0
        while True:
            started_at = time.perf_counter()
            ok, image = self._capture.read()
            if not ok:
                break
            now = time.perf_counter()
            media_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
            t_s = now - opened_at if self.live else media_s
            yield Frame(index, t_s, image, 1e3 * (now - started_at))
            index += 1
        if self.live:
            raise SourceError(f"{self._name}: the camera stopped after {index} frames")
        if index == 0:
            raise SourceError(f"{self._name}: no frame in it can be decoded")

    def close(self) -> None:
        """Frees the device or file."""
        self._capture.release()


class Picamera2Source(_Closing):
    """A Raspberry Pi camera through libcamera's ``picamera2`` (installed with apt)."""

    def __init__(self) -> None:
        try:
            from picamera2 import Picamera2

            self._camera = Picamera2()
        except (ImportError, IndexError, RuntimeError) as error:
            raise SourceError(f"picamera2: no camera ({error})") from error
        main = {"size": CAMERA_SIZE, "format": "RGB888"}
        self._camera.configure(self._camera.create_video_configuration(main=main))
        self._camera.start()
        self.fps, self.live = 30.0, True

    def __iter__(self) -> Iterator[Frame]:
        opened_at = time.perf_counter()
        index = 0
        while True:
            started_at = time.perf_counter()
            image = self._camera.capture_array("main")
            now = time.perf_counter()
            yield Frame(index, now - opened_at, image, 1e3 * (now - started_at))
            index += 1

    def close(self) -> None:
        """Frees the device."""
        self._camera.stop()
        self._camera.close()


def open_source(spec: str) -> Source:
    """Opens a source.

    Args:
        spec: A photo, a folder of photos, a video or GIF file, ``/dev/videoN`` or ``N`` (V4L2),
            ``picamera2``, or ``camera`` (picamera2 if it is installed, else the first V4L2 camera).

    Raises:
        SourceError: It does not exist or cannot be opened.
    """
    if spec == "camera":
        spec = "picamera2" if importlib.util.find_spec("picamera2") else "0"
    if spec == "picamera2":
        return Picamera2Source()
    number = spec.removeprefix("/dev/video")
    if number.isdecimal():
        if not Path(f"/dev/video{number}").exists():
            raise SourceError(f"/dev/video{number}: no such camera")
        return CaptureSource(int(number), f"/dev/video{number}")
    path = Path(spec).expanduser()
    if not path.exists():
        raise SourceError(f"{spec}: no such file, folder or camera")
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return PhotoSource(path)
    return CaptureSource(path, spec)
