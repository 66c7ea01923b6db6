"""A frame, and what gives frames: the contract between sources and everything that reads them."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeVar

import numpy as np

_Self = TypeVar("_Self", bound="Closing")


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source.

    Attributes:
        index: Its place among all frames of the source, lost ones included; the first is 0.
        t_s: Seconds since the first frame: media time for a video, monotonic clock time for a
            camera, 0 for a photo.
        image: uint8 BGR ``[H, W, 3]``, or gray ``[H, W]`` from a camera that gives luma; rows of
            a gray one may lie apart in memory.
        capture_ms: Time the reader spent on getting it: decoding for a file, waiting for a camera.
        name: File name of a photo, else empty.
        dropped: So many frames were lost since the frame before this one: a newer one came before
            anyone read them, or they could not be decoded.
        age_ms: How long ago it came from the camera when the reader got it; 0 for a file.
    """

    index: int
    t_s: float
    image: np.ndarray
    capture_ms: float
    name: str = ""
    dropped: int = 0
    age_ms: float = 0.0


class Source(Protocol):
    """Gives frames until it ends; used in a ``with`` statement, which closes it.

    ``close`` may come from another thread or a signal handler: whoever reads a live source then
    sees it end.

    Attributes:
        fps: Nominal frames per second; 0 for photos.
        single: Whether it is one photo.
        live: Whether frames come by the clock, as from a camera, and may be dropped.
    """

    fps: float
    single: bool
    live: bool

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> "Source": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def close(self) -> None:
        """Frees the device or file."""


class Closing:
    """``with`` support for sources: leaving the block closes them."""

    fps: float = 0.0
    single: bool = False
    live: bool = False

    def __enter__(self: _Self) -> _Self:
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
