"""Where results go: lines on a terminal, JSON lines, annotated pictures and videos."""

import json
import shutil
from pathlib import Path
from typing import Protocol, TextIO

import cv2
import numpy as np

from edge_fer.errors import OutputError
from edge_fer.files import refuse_overwrite, write_atomic
from edge_fer.runtime.images import IMAGE_SUFFIXES
from edge_fer.runtime.result import Result

VIDEO_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}
DEFAULT_FPS = 25.0
MIN_FREE_BYTES = 4_000_000
CHECK_DISK_EVERY = 25
_COLOUR = (60, 220, 60)


class Sink(Protocol):
    """Takes results, then is closed."""

    def write(self, result: Result) -> None:
        """Takes one result."""

    def close(self) -> None:
        """Finishes the output."""


class JsonLines:
    """One JSON document per frame."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, result: Result) -> None:
        """Writes and flushes one line, so that a reader sees it at once."""
        self._stream.write(json.dumps(result.to_dict(), ensure_ascii=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Leaves the stream open: it is not ours."""


class TextLines:
    """One line per frame for people; on a terminal a moving source rewrites the same line."""

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self._end = "\x1b[K\r" if live and stream.isatty() else "\n"

    def write(self, result: Result) -> None:
        """Writes one line."""
        self._stream.write(describe(result) + self._end)
        self._stream.flush()

    def close(self) -> None:
        """Ends the line that was being rewritten."""
        if self._end != "\n":
            self._stream.write("\n")


class PictureRecorder:
    """An annotated picture; with several frames, numbered pictures in a folder.

    Args:
        path: File, or folder if ``single`` is false.
        single: Whether the source gives one frame.
    """

    def __init__(self, path: Path, *, single: bool) -> None:
        self._path, self._single = path, single
        self._written: set[str] = set()

    def write(self, result: Result) -> None:
        """Writes one picture, atomically."""
        path = self._path if self._single else self._path / self._name(result)
        ok, data = cv2.imencode(path.suffix, annotate(result))
        if not ok:
            raise OutputError(f"{path}: OpenCV cannot write {path.suffix} pictures")
        write_atomic(path, lambda file: file.write_bytes(data.tobytes()))

    def close(self) -> None:
        """Nothing is left open."""

    def _name(self, result: Result) -> str:
        """``a.jpg`` becomes ``a.png``; a second ``a``, say ``a.webp``, becomes ``a.webp.png``."""
        stem = Path(result.frame.name).stem or f"{result.frame.index:06d}"
        name = f"{stem}.png" if stem not in self._written else f"{result.frame.name}.png"
        self._written.add(stem)
        return name


class VideoRecorder:
    """An annotated video, moved into place when it is finished.

    OpenCV's writer reports no errors, so free space is watched while recording and the frames are
    counted at the end.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps if fps > 0 else DEFAULT_FPS
        self._partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        self._writer: cv2.VideoWriter | None = None
        self._size, self._frames = (0, 0), 0

    def write(self, result: Result) -> None:
        """Appends one frame; frames of another size are scaled to the first one's."""
        if self._frames % CHECK_DISK_EVERY == 0:
            self._require_space()
        picture = annotate(result)
        if self._writer is None:
            self._writer = self._open(picture)
        if picture.shape[1::-1] != self._size:
            picture = cv2.resize(picture, self._size)
        self._writer.write(picture)
        self._frames += 1

    def close(self) -> None:
        """Finishes the file and puts it in place."""
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if _frames_in(self._partial) < self._frames:
            self._partial.unlink(missing_ok=True)
            raise OutputError(f"{self._path}: the recording is incomplete; is the disk full?")
        self._partial.replace(self._path)

    def _open(self, picture: np.ndarray) -> cv2.VideoWriter:
        self._size = picture.shape[1], picture.shape[0]
        codec = cv2.VideoWriter.fourcc(*VIDEO_CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._partial), codec, self._fps, self._size)
        if not writer.isOpened():
            raise OutputError(f"{self._path}: cannot be written")
        return writer

    def _require_space(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._path.parent).free
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}") from error
        if free < MIN_FREE_BYTES:
            raise OutputError(
                f"{self._path}: disk full ({free / 1e6:.1f} MB left), {self._frames} frames kept"
            )


def open_recorder(path: Path, *, single: bool, fps: float, force: bool) -> Sink:
    """Chooses a recorder by the path's suffix: a video, a picture, or (none) a folder of pictures.

    Raises:
        OutputError: The path exists without ``force``, or its suffix does not fit the source.
    """
    refuse_overwrite(path, force=force)
    suffix = path.suffix.lower()
    if suffix in VIDEO_CODECS:
        return VideoRecorder(path, fps)
    if suffix in IMAGE_SUFFIXES and single:
        return PictureRecorder(path, single=True)
    if not suffix:
        return PictureRecorder(path, single=False)
    videos = ", ".join(VIDEO_CODECS)
    raise OutputError(
        f"{path}: record to a video ({videos}) or a folder; pictures are for one photo"
    )


def describe(result: Result) -> str:
    """Returns a line for people."""
    head = result.frame.name or f"{result.frame.t_s:8.2f} s"
    faces = "   ".join(f"#{f.id} {f.label} {f.score:.0%}" for f in result.faces) or "no face"
    return f"{head}   {faces}   ({result.latency_ms['total']:.1f} ms)"


def annotate(result: Result) -> np.ndarray:
    """Returns a copy of the frame with boxes and labels drawn in."""
    picture = result.frame.image.copy()
    scale = max(0.4, picture.shape[0] / 800)
    width = max(1, round(2 * scale))
    for face in result.faces:
        x, y, w, h = (round(value) for value in face.box)
        cv2.rectangle(picture, (x, y), (x + w, y + h), _COLOUR, width)
        _write(picture, f"{face.label} {face.score:.0%}", (x, y), scale, width)
    return picture


def _write(
    picture: np.ndarray, text: str, corner: tuple[int, int], scale: float, width: int
) -> None:
    """Writes dark text on a filled bar that stands on ``corner``, inside the picture."""
    (text_w, text_h), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, width)
    x, y = corner[0], max(corner[1], text_h + below)
    cv2.rectangle(picture, (x, y - text_h - below), (x + text_w, y), _COLOUR, cv2.FILLED)
    origin = (x, y - below // 2)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(picture, text, origin, font, scale, (0, 0, 0), width, cv2.LINE_AA)


def _frames_in(path: Path) -> int:
    """What a video's index says; 0 if it cannot be read."""
    capture = cv2.VideoCapture(str(path))
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return frames
