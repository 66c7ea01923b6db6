"""Annotated pictures and videos on disk. A full disk ends a recording, and keeps what it has."""

import os
from pathlib import Path

import cv2
import numpy as np

from edge_fer.errors import OutputError
from edge_fer.files import refuse_overwrite, write_atomic
from edge_fer.runtime.outputs.drawing import annotate
from edge_fer.runtime.result import Result
from edge_fer.runtime.sources.images import IMAGE_SUFFIXES

VIDEO_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}
DEFAULT_FPS = 25.0
#: Room that must be left to finish a video: its last frames, and its index by the frame.
MIN_FREE_BYTES = 4_000_000
INDEX_BYTES_PER_FRAME = 32


class PictureRecorder:
    """An annotated picture; with several frames, numbered pictures in a folder.

    Args:
        path: File, or folder if ``single`` is false.
        single: Whether the source gives one frame.
    """

    def __init__(self, path: Path, *, single: bool) -> None:
        self._path, self._single = path, single
        self._stems: set[str] = set()

    def write(self, result: Result) -> None:
        """Writes one picture, atomically.

        Raises:
            OutputError: It cannot be written; the earlier ones are whole.
        """
        path = self._path if self._single else self._path / self._name(result)
        ok, data = cv2.imencode(path.suffix, annotate(result))
        if not ok:
            raise OutputError(f"{path}: OpenCV cannot write {path.suffix} pictures")
        write_atomic(path, lambda file: file.write_bytes(data.tobytes()))

    def close(self) -> None:
        """Nothing is left open."""

    def _name(self, result: Result) -> str:
        """``a.jpg`` becomes ``a.png``; a second ``a``, say ``a.webp``, becomes ``a.webp.png``."""
        if not result.frame.name:
            return f"{result.frame.index:06d}.png"
        stem = Path(result.frame.name).stem
        name = f"{stem}.png" if stem not in self._stems else f"{result.frame.name}.png"
        self._stems.add(stem)
        return name


class VideoRecorder:
    """An annotated video, moved into place when it is finished.

    OpenCV's writer reports no errors, so free space is looked at before each frame, and the frames
    are counted at the end. Files in ``.mkv`` and ``.avi`` play up to where they were cut off; an
    ``.mp4`` plays only if there was room for its index.

    Args:
        path: The video; its suffix, a key of ``VIDEO_CODECS``, chooses the container.
        fps: Frames per second of play; ``DEFAULT_FPS`` if not positive.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps if fps > 0 else DEFAULT_FPS
        self._partial = partial_path(path)
        self._writer: cv2.VideoWriter | None = None
        self._size, self._frames = (0, 0), 0

    def write(self, result: Result) -> None:
        """Appends one frame; frames of another size are scaled to the first one's.

        Raises:
            OutputError: The disk is full. ``close`` still finishes what was recorded.
        """
        self._require_space()
        picture = annotate(result)
        if self._writer is None:
            self._writer = self._open(picture)
        if picture.shape[1::-1] != self._size:
            picture = cv2.resize(picture, self._size)
        self._writer.write(picture)
        self._frames += 1

    def close(self) -> None:
        """Finishes the file and puts it in place.

        Raises:
            OutputError: Frames are missing from it; it says what was kept, and where.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        if _frames_in(self._partial) >= self._frames:
            self._partial.replace(self._path)
            return
        if _plays(self._partial):
            self._partial.replace(self._path)
            raise OutputError(
                f"{self._path}: less than the {self._frames} frames that were recorded is in it; "
                f"is the disk full?"
            )
        raise OutputError(
            f"{self._path}: the recording could not be finished (is the disk full?); "
            f"what there is, without an index, is in {self._partial}"
        )

    def _open(self, picture: np.ndarray) -> cv2.VideoWriter:
        self._size = picture.shape[1], picture.shape[0]
        codec = cv2.VideoWriter.fourcc(*VIDEO_CODECS[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._partial), codec, self._fps, self._size)
        if not writer.isOpened():
            raise OutputError(f"{self._path}: cannot be written")
        return writer

    def _require_space(self) -> None:
        free = _free_bytes(self._path)
        if free < MIN_FREE_BYTES + INDEX_BYTES_PER_FRAME * self._frames:
            raise OutputError(
                f"{self._path}: disk full ({free / 1e6:.1f} MB left), {self._frames} frames kept"
            )


def open_recorder(
    path: Path, *, single: bool, fps: float, force: bool
) -> PictureRecorder | VideoRecorder:
    """Chooses a recorder by the path's suffix: a video, a picture, or (none) a folder of pictures.

    Args:
        path: Where to record.
        single: Whether the source gives one frame.
        fps: Of the source.
        force: Replace what is there.

    Raises:
        OutputError: The path exists without ``force``, a recording that was cut off is still
            beside it, or its suffix does not fit the source.
    """
    refuse_overwrite(path, force=force)
    suffix = path.suffix.lower()
    if suffix in VIDEO_CODECS:
        if partial_path(path).exists() and not force:
            raise OutputError(
                f"{partial_path(path)}: left by a recording that was cut off; "
                f"move it away, or give --force to replace it"
            )
        return VideoRecorder(path, fps)
    if suffix in IMAGE_SUFFIXES and single:
        return PictureRecorder(path, single=True)
    if not suffix:
        return PictureRecorder(path, single=False)
    videos = ", ".join(VIDEO_CODECS)
    raise OutputError(
        f"{path}: record to a video ({videos}) or a folder; pictures are for one photo"
    )


def partial_path(path: Path) -> Path:
    """Where a video is while it is being recorded."""
    return path.with_name(f".{path.stem}.partial{path.suffix}")


def _free_bytes(path: Path) -> int:
    """What is left for users on the disk of ``path``, whose folder is made if need be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        disk = os.statvfs(path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    return disk.f_bavail * disk.f_frsize


def _frames_in(path: Path) -> int:
    """What a video's index says; 0 if it cannot be read."""
    capture = cv2.VideoCapture(str(path))
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    return frames


def _plays(path: Path) -> bool:
    capture = cv2.VideoCapture(str(path))
    read = capture.grab()
    capture.release()
    return bool(read)
