"""A face detector of edge-fer's own: a bundle like the classifiers', on LiteRT."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from edge_fer.bundle import Bundle, ModelFile
from edge_fer.errors import ModelError
from edge_fer.preprocess import PIXEL_OFFSET
from edge_fer.resources import find_resource
from edge_fer.runtime.classifier import PRECISIONS, input_of_pixel
from edge_fer.runtime.engines import LiteRtEngine
from edge_fer.runtime.faces.decode import CHANNELS, OVERLAP, Faces, decode_faces, suppress
from edge_fer.runtime.faces.detectors import (
    USUAL_PX,
    Detection,
    largest_first,
    picture_scale,
)

SHIPPED = "face-detector"
#: The network halves its picture five times; what is missing to a multiple of this is border.
MULTIPLE_PX = 32
#: In a picture larger than usual only faces up to so many pixels count: it cannot see those that
#: fill it, and half of it is looked at too.
LARGEST_PX = 96


#: Pixels of the picture that a bundle's ``min_score`` is for. One with ``n`` times as many has more
#: that looks like a face: there the log-odds must be higher by ``SUSPICION`` times ``ln n``. That
#: keeps the false faces a picture about the same from 320 to 640 pixels of width.
USUAL_AREA_PX, SUSPICION = 320 * 240, 0.3


class BundleDetector:
    """Runs the ``.tflite`` of a detector's bundle on pictures of any size.

    A picture larger than usual is looked at again at half its size, and so on: faces of all sizes
    are found in it.

    Args:
        bundle: Name of one that comes with edge-fer, or a path.
        width_px: Pictures are scaled until their longer side has so many pixels; 0 leaves them as
            they are, unless they are very small.
        threads: Of one inference.

    Raises:
        ModelError: The bundle is no detector's, or LiteRT cannot run it.
    """

    def __init__(self, bundle: str = SHIPPED, width_px: int = 0, threads: int = 1) -> None:
        self._bundle = Bundle.load(find_resource("bundle", bundle))
        self._bundle.require("detect")
        self._width_px, self._threads = width_px, threads
        self._looks = [Look(self._bundle, threads)]

    def detect(self, image: np.ndarray) -> list[Detection]:
        """Returns the faces of a uint8 BGR ``[H, W, 3]`` or gray ``[H, W]`` frame."""
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        scale = picture_scale(gray.shape, self._width_px)
        found = [self._look(0).faces(gray, scale)]
        while scale * max(gray.shape) > USUAL_PX:
            found[-1] = _of_size(found[-1], LARGEST_PX / scale)
            scale /= 2
            found.append(self._look(len(found)).faces(gray, scale))
        return largest_first(_detections(found[0] if len(found) == 1 else _best(found)))

    def _look(self, number: int) -> "Look":
        """Returns one for each size, so that none of them changes from frame to frame."""
        if number == len(self._looks):
            self._looks.append(Look(self._bundle, self._threads))
        return self._looks[number]


class Look:
    """The network, and memory for pictures of one size.

    Args:
        bundle: Of a detector.
        threads: Of one inference.

    Raises:
        ModelError: LiteRT cannot run its file, or that is no detector.
    """

    def __init__(self, bundle: Bundle, threads: int) -> None:
        file = _best_file(bundle)
        name = f"{bundle.path}/{file.file}"
        self._engine = LiteRtEngine(bundle.contents[file.file], name, threads)
        output = self._engine.output
        if output.shape[-1] != CHANNELS or output.zero_point != 0:
            raise ModelError(f"{name}: its output {list(output.shape)} is no map of faces")
        self._step = output.scale
        self._min_score = self._usual_score = bundle.manifest.min_score
        self._input_of_pixel = input_of_pixel(self._engine.input)
        self._size = (0, 0)
        self._pixels = np.empty((0, 0), np.uint8)

    def faces(self, gray: np.ndarray, scale: float) -> Faces:
        """Finds faces in a scaled picture.

        Args:
            gray: uint8 ``[H, W]``.
            scale: Pixels that the network gets per pixel of ``gray``.

        Returns:
            In pixels of ``gray``.
        """
        size = _scaled(gray.shape, scale)
        if size != self._size:
            self._resize(size)
        _put(gray, size, self._pixels)
        x = cv2.LUT(self._pixels, self._input_of_pixel)
        raw_HWC = self._engine(x.reshape(self._engine.input.shape))[0]
        found = decode_faces(raw_HWC, step=self._step, min_score=self._min_score)
        return Faces(found.boxes_N4 / scale, found.points_N52 / scale, found.scores_N)

    def _resize(self, size: tuple[int, int]) -> None:
        width, height = (-(-side // MULTIPLE_PX) * MULTIPLE_PX for side in size)
        self._engine.resize((1, height, width, 1))
        self._pixels = np.full((height, width), PIXEL_OFFSET, np.uint8)
        self._size = size
        more = SUSPICION * math.log(max(1, size[0] * size[1] / USUAL_AREA_PX))
        odds = self._usual_score / (1 - self._usual_score) * math.exp(more)
        self._min_score = odds / (1 + odds)


def fit_picture(gray: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Scales a picture into the upper left corner of one of another shape.

    Args:
        gray: uint8 ``[H, W]``.
        shape: ``(H, W)`` of the other one.

    Returns:
        uint8 picture, gray where nothing is left of the first; and the scale.
    """
    scale = min(shape[0] / gray.shape[0], shape[1] / gray.shape[1])
    pixels = np.full(shape, PIXEL_OFFSET, np.uint8)
    _put(gray, _scaled(gray.shape, scale), pixels)
    return pixels, scale


def _scaled(shape: Sequence[int], scale: float) -> tuple[int, int]:
    """Width and height."""
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _put(gray: np.ndarray, size: tuple[int, int], pixels: np.ndarray) -> None:
    corner = pixels[: size[1], : size[0]]
    if corner.shape == gray.shape:
        corner[:] = gray
        return
    method = cv2.INTER_AREA if size[0] < gray.shape[1] else cv2.INTER_LINEAR
    cv2.resize(gray, size, dst=corner, interpolation=method)


def _of_size(faces: Faces, largest: float) -> Faces:
    return _taken(faces, faces.boxes_N4[:, 2:].max(1, initial=0) <= largest)


def _best(found: Sequence[Faces]) -> Faces:
    """Of what was found at several sizes, each face once."""
    fields = zip(*((one.boxes_N4, one.points_N52, one.scores_N) for one in found), strict=True)
    together = Faces(*map(np.concatenate, fields))
    ranked = _taken(together, np.argsort(-together.scores_N, kind="stable"))
    return _taken(ranked, suppress(ranked.boxes_N4, OVERLAP))


def _taken(faces: Faces, which: np.ndarray) -> Faces:
    return Faces(faces.boxes_N4[which], faces.points_N52[which], faces.scores_N[which])


def _detections(found: Faces) -> list[Detection]:
    columns = (found.boxes_N4.tolist(), found.scores_N.tolist(), found.points_N52.tolist())
    return [
        Detection(tuple(box), score, tuple(map(tuple, points)))
        for box, score, points in zip(*columns, strict=True)
    ]


def _best_file(bundle: Bundle) -> ModelFile:
    files = [one for one in bundle.manifest.files if one.format == "tflite"]
    if not files:
        raise ModelError(f"{bundle.path}: no .tflite file in it")
    return min(files, key=lambda one: PRECISIONS.index(one.precision))
