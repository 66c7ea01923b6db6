"""Where frames come from: photos, videos, GIFs, cameras and streams."""

import importlib.util
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_fer.errors import SourceError
from edge_fer.runtime.frame import Source
from edge_fer.runtime.sources.captures import (
    CaptureCamera,
    CaptureSource,
    Playback,
    first_v4l2,
    open_stream,
    open_v4l2,
)
from edge_fer.runtime.sources.gstreamer import GstCamera, csi_pipeline
from edge_fer.runtime.sources.images import IMAGE_SUFFIXES
from edge_fer.runtime.sources.latest import Camera
from edge_fer.runtime.sources.photos import PhotoSource
from edge_fer.runtime.sources.picamera import PiCamera
from edge_fer.runtime.sources.reconnect import LiveSource, Retry
from edge_fer.runtime.sources.redact import redact

_log = logging.getLogger("edge_fer.sources")

CAMERA_SIZE = (640, 480)
RETRY_S = 60.0
KNOWN = (
    "a photo, a folder of photos, a video or GIF file, /dev/videoN or N, camera, picamera2[:N], "
    "csi[:N], gst:PIPELINE, rtsp://..., http://..., https://..."
)
#: A video may show one picture for as long as it likes.
_PATIENT = Retry(silent_s=threading.TIMEOUT_MAX)
_STREAM = re.compile(r"(rtsps?|https?)://", re.I)
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:")


@dataclass(frozen=True, kw_only=True)
class _Wish:
    """What to ask of a camera: its number or pipeline, size in pixels, and whether gray will do."""

    argument: str
    size: tuple[int, int]
    gray: bool


def open_source(
    spec: str,
    *,
    size: tuple[int, int] = CAMERA_SIZE,
    every_frame: bool | None = None,
    retry_s: float = RETRY_S,
    gray_ok: bool = False,
) -> Source:
    """Opens a source.

    Cameras and streams give their newest frame: whoever reads them slowly loses frames and never
    gets old ones. They are opened again when they are lost. Files give every frame, in order.

    Args:
        spec: A photo, a folder of photos, a video or GIF file; ``/dev/videoN``, a link to it or
            ``N`` (V4L2); ``picamera2`` or ``picamera2:N``; ``camera`` (picamera2 if it is
            installed and has a camera, else the first V4L2 camera); ``csi`` or ``csi:N`` (Jetson);
            ``gst:PIPELINE`` (GStreamer, without a sink); ``rtsp://...`` or ``http(s)://...``.
        size: Width and height to ask of a camera, pixels. It may give others; GStreamer scales.
        every_frame: ``None`` is as said above. ``True`` makes a camera wait for the reader;
            ``False`` plays a video in real time as if a camera saw it. Photos do not care.
        retry_s: End if a lost camera is not back within so many seconds; 0 means never.
        gray_ok: The caller can use gray frames: picamera2 then gives luma ``[H, W]`` instead of
            BGR, which saves a conversion. Others ignore it.

    Raises:
        SourceError: It does not exist or cannot be opened; while iterating, that it gave no frame,
            or was lost and did not come back.
    """
    retry = Retry(give_up_s=retry_s)
    kind, argument = _parse(spec)
    name = _name(kind, argument, spec)
    if kind == "file":
        return _open_file(argument, every_frame)
    wish = _Wish(argument=argument, size=size, gray=gray_ok)

    def open_camera() -> Camera:
        return _CAMERAS[kind](wish)

    try:
        camera = open_camera()
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from error
    if isinstance(camera, CaptureCamera) and camera.finite:
        camera.close()
        return _play(CaptureSource(argument, name), name, every_frame)
    return LiveSource(camera, open_camera, name, retry=retry, every_frame=bool(every_frame))


def _parse(spec: str) -> tuple[str, str]:
    """Returns what kind of source it is, and the file, device, URL, pipeline or number."""
    if spec.isdecimal() or spec.startswith("/dev/"):
        return "v4l2", spec if spec.startswith("/") else f"/dev/video{int(spec)}"
    if _STREAM.match(spec):
        return "stream", spec
    numbered = re.fullmatch(r"(camera|(?:picamera2|csi)(?::([0-9]+))?)", spec)
    if numbered:
        return spec.partition(":")[0], numbered[2] or "0"
    if spec.startswith("gst:"):
        return "gst", spec.removeprefix("gst:")
    return "file", spec


def _name(kind: str, argument: str, spec: str) -> str:
    """Returns what messages call it: the device, or the spec without its secrets."""
    if kind == "v4l2":
        return argument
    return redact("".join(spec.split()) if kind == "stream" else spec)


def _open_file(spec: str, every_frame: bool | None) -> Source:
    path = Path(spec).expanduser()
    if not path.exists():
        hint = f"; known are {KNOWN}" if _SCHEME.match(spec) else ""
        raise SourceError(f"{redact(spec)}: no such file, folder or camera{hint}")
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return PhotoSource(path)
    return _play(CaptureSource(path, spec), spec, every_frame)


def _play(video: CaptureSource, name: str, every_frame: bool | None) -> Source:
    if every_frame is not False:
        return video

    def never() -> Camera:
        raise EOFError

    return LiveSource(Playback(video), never, name, retry=_PATIENT)


def _open_any(wish: _Wish) -> Camera:
    if importlib.util.find_spec("picamera2"):
        try:
            return PiCamera(0, wish.size, gray=wish.gray)
        except SourceError as error:
            _log.info("picamera2: %s", error)
    device = first_v4l2()
    try:
        return open_v4l2(device, wish.size)
    except SourceError as error:
        raise SourceError(f"picamera2 has none, and {device}: {error}") from error


#: Opens a camera of each kind; called again whenever one is lost.
_CAMERAS: dict[str, Callable[[_Wish], Camera]] = {
    "camera": _open_any,
    "picamera2": lambda wish: PiCamera(int(wish.argument), wish.size, gray=wish.gray),
    "v4l2": lambda wish: open_v4l2(wish.argument, wish.size),
    "csi": lambda wish: GstCamera(csi_pipeline(int(wish.argument), wish.size), wish.size),
    "gst": lambda wish: GstCamera(wish.argument, wish.size),
    "stream": lambda wish: open_stream(wish.argument),
}
