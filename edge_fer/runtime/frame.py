"""A frame, and what gives frames: the contract between sources and everything that reads them."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source.

    Attributes:
        index: Counts the frames that the source gave, from 0.
        t_s: Seconds since the first frame: media time for a video, monotonic clock time for a
            camera, 0 for a photo.
        image: uint8 BGR ``[H, W, 3]``, or gray ``[H, W]`` from a camera that gives luma.
        capture_ms: Time it took to get or decode the frame.
        name: File name of a photo, else empty.
        dropped: Newer frames replaced so many, which nobody read, since the frame before this one.
    """

    index: int
    t_s: float
    image: np.ndarray
    capture_ms: float
    name: str = ""
    dropped: int = 0


class Source(Protocol):
    """Gives frames until it ends; used in a ``with`` statement, which closes it.

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
