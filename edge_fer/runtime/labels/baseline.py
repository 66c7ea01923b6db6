"""A person's resting face: what the network sees in it beyond neutral, learnt and taken away."""

import numpy as np

from edge_fer.errors import ModelError

NEUTRAL = "neutral"
#: Time constant in seconds, and how long is learnt before anything is taken away.
LEARN_S, WAIT_S = 60.0, 5.0
#: At most so much is taken from a logarithm: an expression that is clearly there stays.
MOST_OFFSET = 1.5
_LEAST = 1e-6


class Baseline:
    """The offset of one person.

    ``m_k`` is the running mean of ``log p_k`` with the time constant ``LEARN_S`` (an even mean
    until that much time has passed), taken over all that the person showed: people mostly rest.
    A face whose mean favours label k over neutral gets ``log p_k`` lowered by
    ``o_k = min(max(m_k - m_neutral, 0), MOST_OFFSET)``, and the probabilities add up to 1 again:
    the mean face then reads at least as much neutral as anything else. Other labels and neutral
    itself are left alone, and so is a person whose resting face is read as neutral.

    Args:
        labels: The vocabulary, ``neutral`` among it.

    Raises:
        ModelError: It is not.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        if NEUTRAL not in labels:
            raise ModelError(f"neutral_baseline: {NEUTRAL!r} is not among {', '.join(labels)}")
        self._neutral = labels.index(NEUTRAL)
        self._mean_K = np.zeros(len(labels))
        self._learnt_s = 0.0

    @property
    def offset(self) -> np.ndarray:
        """What is taken from the logarithms now, float64 ``[K]``."""
        if self._learnt_s < WAIT_S:
            return np.zeros_like(self._mean_K)
        over_neutral_K = self._mean_K - self._mean_K[self._neutral]
        return np.asarray(over_neutral_K.clip(0, MOST_OFFSET))

    def update(self, probabilities_K: np.ndarray, dt_s: float) -> np.ndarray:
        """Learns from a frame's probabilities and returns them without the offset.

        Args:
            probabilities_K: float32 ``[K]``.
            dt_s: Seconds since the frame before; nothing is learnt unless it is above 0 and at
                most 1.
        """
        log_K = np.log(np.maximum(probabilities_K, _LEAST).astype(np.float64))
        if 0 < dt_s <= 1:
            self._learnt_s = min(self._learnt_s + dt_s, LEARN_S)
            share = dt_s / self._learnt_s
            self._mean_K += share * (log_K - self._mean_K)
        shifted_K = np.exp(log_K - self.offset)
        return np.asarray(shifted_K / shifted_K.sum(), np.float32)
