"""A clip as one picture: approximate rank pooling, the input of micro-expression networks.

The dynamic image of q frames is ``d = sum_p V_p F(p)`` (EmoNAS, Eq. 1-5), with two weightings:

* ``paper``: ``F(p) = sum_{l=p..q} (2l - q) / l``, as EmoNAS prints it. The weights add up to q, so
  the picture is the change over the clip on top of the mean frame.
* ``bilen``: ``F(p) = sum_{l=p..q} (2l - q - 1) / l``, as Bilen et al. (CVPR 2016) derive it. The
  weights add up to 0, so what does not move vanishes.

A model's metadata must say which it was trained with. Both come down to
``F(p) = 2 (q - p + 1) - (q + c) (H(q) - H(p - 1))``, c being 0 or 1 and H(n) the n-th harmonic
number. No relation between a clip and the same clip backwards follows: these weights are not odd
about the middle, except for two frames weighted by ``bilen``.

Shape suffixes: T frames, H height, W width (pixels), C channels.
"""

import numpy as np

from edge_fer.errors import DataError, ModelError

#: What is taken from ``2l - q`` in each weighting.
WEIGHTINGS = {"paper": 0, "bilen": 1}
#: Every pixel of the dynamic image of a clip in which nothing moves.
MID_VALUE = 128
_ROUNDING = 1e-9


def frame_weights(frames: int, weighting: str) -> np.ndarray:
    """Returns F(1) .. F(q), float64 ``[T]``, for a clip of q = ``frames`` frames.

    Raises:
        DataError: There are no frames.
        ModelError: Unknown weighting.
    """
    if weighting not in WEIGHTINGS:
        raise ModelError(f"dynamic image: weighting {weighting!r}; known: {', '.join(WEIGHTINGS)}")
    if frames < 1:
        raise DataError("dynamic image: a clip needs at least one frame")
    ranks = np.arange(1, frames + 1, dtype=np.float64)
    terms = (2 * ranks - frames - WEIGHTINGS[weighting]) / ranks
    return np.cumsum(terms[::-1])[::-1]


def rank_pool(frames_THWC: np.ndarray, weighting: str) -> np.ndarray:
    """Adds up the weighted frames, before any rescaling.

    Args:
        frames_THWC: Any real type, ``[T, H, W]`` or ``[T, H, W, C]``.
        weighting: A key of ``WEIGHTINGS``.

    Returns:
        float64 ``[H, W]`` or ``[H, W, C]``; linear in the frames.
    """
    weights_T = frame_weights(len(frames_THWC), weighting)
    pooled = np.zeros(frames_THWC.shape[1:])
    for weight, frame in zip(weights_T, frames_THWC, strict=True):
        pooled += weight * frame
    return pooled


def rescale(pooled_HWC: np.ndarray, flat_below: float = 0.0) -> np.ndarray:
    """Maps the smallest value to 0 and the largest to 255, over all channels together.

    Args:
        pooled_HWC: float ``[H, W]`` or ``[H, W, C]``.
        flat_below: A picture whose values span no more than this counts as constant.

    Returns:
        uint8 of the same shape; ``MID_VALUE`` everywhere if the values are constant.
    """
    low = pooled_HWC.min()
    span = pooled_HWC.max() - low
    if span <= flat_below:
        return np.full(pooled_HWC.shape, MID_VALUE, np.uint8)
    return np.asarray(np.rint((pooled_HWC - low) * (255 / span)), np.uint8)


def dynamic_image(frames_THWC: np.ndarray, weighting: str) -> np.ndarray:
    """Makes the dynamic image of a clip.

    Args:
        frames_THWC: uint8 gray ``[T, H, W]`` or colour ``[T, H, W, 3]``.
        weighting: ``paper`` or ``bilen``.

    Returns:
        uint8 ``[H, W]`` or ``[H, W, 3]``, which spans 0..255, or is ``MID_VALUE`` everywhere where
        the weighted sum has no contrast.

    Raises:
        DataError: Not a clip of frames.
        ModelError: Unknown weighting.
    """
    if frames_THWC.ndim not in (3, 4):
        raise DataError(f"dynamic image: frames have shape {frames_THWC.shape}, not [T, H, W(, 3)]")
    weights_T = frame_weights(len(frames_THWC), weighting)
    return rescale(rank_pool(frames_THWC, weighting), _noise_floor(weights_T))


class SlidingDynamicImage:
    """The dynamic image of the last ``window`` frames of a stream.

    A step costs ``window`` multiplications per pixel, one matrix-vector product over memory that is
    reserved with the first frame. A fixed number of operations per pixel is not to be had: weights
    that a finite recurrence can slide are sums of polynomials times exponentials, and the harmonic
    numbers in F are none. Only a window that grows has one (running sums of V, p V and H(p-1) V).
    In return nothing but the frames is carried on from step to step, and so no rounding error is:
    a ring holds them, and the weights turn instead of the frames.

    Args:
        window: Frames that a dynamic image is made of.
        weighting: ``paper`` or ``bilen``.

    Raises:
        DataError: ``window`` is below 1.
        ModelError: Unknown weighting.
    """

    def __init__(self, window: int, weighting: str) -> None:
        weights_T = frame_weights(window, weighting)
        self._flat_below = _noise_floor(weights_T)
        self._window = window
        self._weights_2T = np.concatenate([weights_T, weights_T])
        self._shape: tuple[int, ...] = ()
        self._ring_TD = np.empty((0, 0))
        self._sum_D = np.empty(0)
        self._seen = 0

    def push(self, frame_HWC: np.ndarray) -> np.ndarray | None:
        """Takes the next frame.

        Args:
            frame_HWC: uint8 ``[H, W]`` or ``[H, W, 3]``, always of one shape.

        Returns:
            What ``dynamic_image`` gives for the last ``window`` frames; None while there are fewer.

        Raises:
            DataError: The frame has another shape than those before it.
        """
        if not self._seen:
            self._reserve(frame_HWC)
        if frame_HWC.shape != self._shape:
            raise DataError(f"dynamic image: frame of {frame_HWC.shape} after {self._shape}")
        self._ring_TD[self._seen % self._window] = frame_HWC.reshape(-1)
        self._seen += 1
        if self._seen < self._window:
            return None
        return rescale(self.pooled(), self._flat_below)

    def pooled(self) -> np.ndarray:
        """Returns what ``rank_pool`` gives for the last ``window`` frames, once there are as many.

        Returns:
            float64 ``[H, W]`` or ``[H, W, C]``; the next call overwrites it.
        """
        oldest = self._seen % self._window
        weights_T = self._weights_2T[self._window - oldest : 2 * self._window - oldest]
        np.matmul(weights_T, self._ring_TD, out=self._sum_D)
        return self._sum_D.reshape(self._shape)

    def reset(self) -> None:
        """Forgets all frames; the next one may have another shape."""
        self._seen = 0

    def _reserve(self, frame_HWC: np.ndarray) -> None:
        self._shape = frame_HWC.shape
        self._ring_TD = np.empty((self._window, frame_HWC.size))
        self._sum_D = np.empty(frame_HWC.size)


def _noise_floor(weights_T: np.ndarray) -> float:
    """Below the contrast of a one-level change, above the rounding errors of the sum."""
    return _ROUNDING * 255 * float(np.abs(weights_T).sum())
