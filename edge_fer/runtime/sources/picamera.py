"""Raspberry Pi cameras, through libcamera's ``picamera2`` (installed with apt)."""

import importlib

import numpy as np

from edge_fer.errors import SourceError

#: Older releases of picamera2 take it for "wait for ever".
READ_S = 8.0
FPS = 30.0
#: What libcamera calls RGB888 is BGR in memory.
COLOUR, GRAY = "RGB888", "YUV420"


class PiCamera:
    """A camera on the CSI port.

    Gray frames are the luma plane as it comes, rows apart by the stride: neither converted nor
    copied. They are in full range (0..255), as a gray photo is.

    Args:
        number: Of the camera, from 0.
        size: Width and height, pixels.
        gray: Give luma instead of BGR.

    Raises:
        SourceError: picamera2 or the camera is not there, or it has no such frames.
    """

    def __init__(self, number: int, size: tuple[int, int], *, gray: bool) -> None:
        self._gray, self.fps = gray, FPS
        try:
            self._camera = importlib.import_module("picamera2").Picamera2(number)
        except (ImportError, IndexError, RuntimeError) as error:
            raise SourceError(f"no camera {number} ({error})") from error
        try:
            self._start(size, GRAY if gray else COLOUR)
        except BaseException:
            self._camera.close()
            raise

    def read(self) -> np.ndarray:
        """Waits for the next frame.

        Raises:
            TimeoutError: None came.
            RuntimeError: libcamera lost it.
        """
        array: np.ndarray = self._camera.capture_array("main", wait=READ_S)
        return array[: self._height, : self._width] if self._gray else array

    def interrupt(self) -> None:
        """Does nothing: ``read`` has a time limit."""

    def close(self) -> None:
        """Frees the camera, even if it waits for a frame: ``stop`` would queue behind that."""
        self._camera.close()

    def _start(self, size: tuple[int, int], layout: str) -> None:
        colours = importlib.import_module("libcamera").ColorSpace.Sycc()
        wish = self._camera.create_video_configuration(
            main={"size": size, "format": layout}, colour_space=colours
        )
        try:
            self._camera.configure(wish)
            self._camera.start()
        except RuntimeError as error:
            raise SourceError(f"the camera does not start ({error})") from error
        given = self._camera.camera_configuration()["main"]
        if given["format"] != layout:
            raise SourceError(f"the camera gives {given['format']}, not {layout}")
        self._width, self._height = given["size"]
