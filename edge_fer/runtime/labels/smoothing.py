"""Steady labels: probabilities smoothed over time, and an answer that does not flicker."""

import math

import numpy as np

from edge_fer.runtime.labels.baseline import Baseline
from edge_fer.runtime.result import UNSURE
from edge_fer.runtime.settings import Settings

#: Entropy, as a fraction of that of pure chance, above which the answer is ``unsure``.
MOST_ENTROPY = 0.98


class Smoother:
    """One person's probabilities over time.

    A frame that comes ``dt`` seconds after the one before moves the smoothed probabilities by
    ``1 - exp(-dt / smooth_s)`` of the way to its own: so many frames of a fast camera weigh as much
    as one of a slow camera in the same time.

    The answer changes at once where the lead over the old answer is ``hysteresis``, and otherwise
    when the same other answer was ahead for ``hold_s``. ``unsure`` is an answer like the others;
    its lead is how far the greatest probability is below the threshold.

    Args:
        settings: The fields from ``smooth_s`` to ``neutral_baseline``; ``smooth_s`` is above 0.
        labels: The vocabulary.
    """

    def __init__(self, settings: Settings, labels: tuple[str, ...]) -> None:
        self._settings, self._labels = settings, labels
        self._baseline = Baseline(labels) if settings.neutral_baseline else None
        self._smooth_K = np.empty(0, np.float32)
        self._last_s = self._ahead_since_s = -math.inf
        self._answer = self._ahead = ""

    def update(self, probabilities_K: np.ndarray, t_s: float) -> tuple[np.ndarray, str]:
        """Takes the probabilities of a frame.

        Args:
            probabilities_K: float32 ``[K]``.
            t_s: Time of the frame; earlier than the one before starts anew.

        Returns:
            The smoothed probabilities, float32 ``[K]``, a new array; and a label, or ``UNSURE``.
        """
        dt_s = t_s - self._last_s
        if self._baseline is not None:
            probabilities_K = self._baseline.update(probabilities_K, dt_s)
        if not 0 <= dt_s < math.inf:
            self._answer = ""
            self._smooth_K = probabilities_K
        else:
            weight = -math.expm1(-dt_s / self._settings.smooth_s)
            self._smooth_K = self._smooth_K + np.float32(weight) * (
                probabilities_K - self._smooth_K
            )
        self._last_s = t_s
        self._decide(t_s)
        return self._smooth_K, self._answer

    def _decide(self, t_s: float) -> None:
        values = self._smooth_K.tolist()
        greatest = max(values)
        doubtful = greatest < self._settings.unsure or self._is_chance(values)
        candidate = UNSURE if doubtful else self._labels[values.index(greatest)]
        if candidate != self._ahead:
            self._ahead, self._ahead_since_s = candidate, t_s
        if candidate == self._answer:
            return
        waited = t_s - self._ahead_since_s >= self._settings.hold_s
        if not self._answer or waited or self._lead(values, greatest) >= self._settings.hysteresis:
            self._answer = candidate

    def _lead(self, values: list[float], greatest: float) -> float:
        if UNSURE in (self._ahead, self._answer):
            return abs(greatest - self._settings.unsure)
        return greatest - values[self._labels.index(self._answer)]

    def _is_chance(self, values: list[float]) -> bool:
        if not self._settings.unsure or len(values) < 2:
            return False
        entropy = -sum(p * math.log(p) for p in values if p > 0)
        return entropy > MOST_ENTROPY * math.log(len(values))
