"""Micro-expressions: the sliding dynamic image of a followed face."""

import numpy as np

from edge_fer.dynamic_image import SlidingDynamicImage
from edge_fer.errors import ModelError
from edge_fer.preprocess import Box, Point, Preprocessing
from edge_fer.runtime.frame import Frame

#: Side of the face in a dynamic image, as in training.
SIDE_PX = 128
MOST_FRAMES = 32
#: A longer gap than this part of the clip starts it anew.
_LONGEST_GAP = 0.5


class MicroClip:
    """The last moments of one person's face.

    The clip has as many frames as ``clip_s`` has at the pace of the face's first two frames, at
    least 2 and at most ``MOST_FRAMES``: 12.6 MB in colour.

    Args:
        preprocessing: Of the network; ``clip`` is the weighting of its dynamic images.
        clip_s: Length of the clip in seconds.
    """

    def __init__(self, preprocessing: Preprocessing, clip_s: float) -> None:
        self._fit = preprocessing.fit
        self._crop = Preprocessing(
            height_px=SIDE_PX,
            width_px=SIDE_PX,
            color="rgb",
            crop_scale=preprocessing.crop_scale,
            eyes=preprocessing.eyes,
        )
        self._weighting, self._clip_s = preprocessing.clip, clip_s
        self._clip: SlidingDynamicImage | None = None
        self._last_s: float | None = None

    def push(self, frame: Frame, box: Box, eyes: tuple[Point, ...] | None) -> np.ndarray | None:
        """Takes the face of the next frame.

        Args:
            frame: Of a video.
            box: Of the face, in pixels.
            eyes: Centres, if they are known.

        Returns:
            The network's pixels as ``Preprocessing.fit`` gives them; None while the clip is short.

        Raises:
            ModelError: The frame is a photo, in which nothing moves.
        """
        if frame.name:
            raise ModelError(f"{frame.name}: a network of dynamic images reads video, not photos")
        last_s, self._last_s = self._last_s, frame.t_s
        if last_s is None:
            return None
        passed_s = frame.t_s - last_s
        if not 0 < passed_s <= _LONGEST_GAP * self._clip_s:
            self._clip = None
            return None
        if self._clip is None:
            frames = min(max(2, round(self._clip_s / passed_s)), MOST_FRAMES)
            self._clip = SlidingDynamicImage(frames, self._weighting)
        picture = self._clip.push(self._crop.face_pixels(frame.image, box, eyes))
        return None if picture is None else self._fit(picture)
