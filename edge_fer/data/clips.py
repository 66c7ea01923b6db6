"""Reading clips: folders of frames and video files, cut to onset .. offset.

Shape suffixes: T frames, H height, W width (pixels), C channels.
"""

from itertools import islice
from pathlib import Path

import numpy as np

from edge_fer.data.dataset import VIDEO_SUFFIXES, Clip, Item, read_picture
from edge_fer.errors import DataError, SourceError
from edge_fer.runtime.sources.captures import CaptureSource


def read_clip(item: Item) -> np.ndarray:
    """Reads the frames of a clip from its onset to its offset, both included.

    Returns:
        uint8 ``[T, H, W]`` gray or ``[T, H, W, 3]`` BGR. Pictures that are stored gray are gray;
        videos are always BGR.

    Raises:
        DataError: The item is no clip, a frame is missing or unreadable, frames differ in size, the
            clip ends before its offset, or the apex is outside onset .. offset.
    """
    clip = _clip(item)
    apex_index(item)
    if _is_video(clip):
        frames = _video_frames(clip.files[0], clip.onset, _end(clip))
    else:
        frames = [read_picture(file) for file in clip.files[clip.onset : _end(clip)]]
    _check_length(item.name, clip, len(frames))
    _check_sizes(item.name, frames)
    return np.stack(frames)


def apex_index(item: Item) -> int | None:
    """Returns which frame of ``read_clip`` is the apex, None if it is not annotated.

    Raises:
        DataError: The item is no clip, or the apex is outside onset .. offset.
    """
    clip = _clip(item)
    if clip.onset < 0 or (clip.offset != -1 and clip.offset < clip.onset):
        raise DataError(f"{item.name}: onset {clip.onset}, offset {clip.offset}")
    if clip.apex == -1:
        return None
    if clip.apex < clip.onset or (clip.offset != -1 and clip.apex > clip.offset):
        offset = "the end" if clip.offset == -1 else clip.offset
        raise DataError(f"{item.name}: apex {clip.apex} is outside {clip.onset} .. {offset}")
    return clip.apex - clip.onset


def _clip(item: Item) -> Clip:
    if not isinstance(item.source, Clip):
        raise DataError(f"{item.name}: an image, not a clip")
    return item.source


def _is_video(clip: Clip) -> bool:
    return len(clip.files) == 1 and clip.files[0].suffix.lower() in VIDEO_SUFFIXES


def _end(clip: Clip) -> int | None:
    return None if clip.offset == -1 else clip.offset + 1


def _check_length(name: str, clip: Clip, frames: int) -> None:
    needed = max(clip.onset, clip.apex, clip.offset)
    if clip.onset + frames <= needed:
        raise DataError(f"{name}: the clip ends before frame {needed}")


def _check_sizes(name: str, frames: list[np.ndarray]) -> None:
    for index, frame in enumerate(frames):
        if frame.shape != frames[0].shape:
            raise DataError(
                f"{name}: frame {index} from the onset is {_size(frame)}, "
                f"the onset is {_size(frames[0])}"
            )


def _size(frame: np.ndarray) -> str:
    return f"{frame.shape[1]}x{frame.shape[0]} {'gray' if frame.ndim == 2 else 'colour'}"


def _video_frames(file: Path, onset: int, end: int | None) -> list[np.ndarray]:
    """Decodes from the start: seeking lands on key frames in many files."""
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    try:
        with CaptureSource(file, str(file)) as source:
            return [frame.image for frame in islice(source, onset, end)]
    except SourceError as error:
        raise DataError(str(error)) from error
