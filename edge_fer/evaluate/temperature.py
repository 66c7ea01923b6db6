"""Temperature scaling: one number that divides the logits, so that confidence means accuracy.

It changes no label. With ``b = 1 / T`` the mean negative log-likelihood is convex in ``b``, so its
one minimum is where its slope changes sign, and bisection finds it, always the same one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fer.errors import ModelError

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
_HALVINGS = 60


@dataclass(frozen=True, kw_only=True)
class FittedTemperature:
    """A temperature and how it was found.

    Attributes:
        value: T; probabilities are ``softmax(logits / T)``.
        at_bound: The best T is outside 0.05 .. 20, and the nearer end was taken. At 20 the logits
            tell next to nothing about the labels.
    """

    value: float
    at_bound: bool


def temperature_of(metadata: Mapping[str, Any], where: object) -> float:
    """Returns the temperature that a checkpoint's or a bundle's metadata hold; 1 if none.

    Args:
        metadata: May have the key ``temperature``.
        where: The file, for the message.

    Raises:
        ModelError: It is not a number above 0.
    """
    value = metadata.get("temperature", 1.0)
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelError(f"{where}: temperature {value!r} is not a number above 0")
    return float(value)


def negative_log_likelihood(
    logits_NK: np.ndarray, labels_N: np.ndarray, temperature: float
) -> float:
    """Mean negative log-likelihood, in nats, of the labels at a temperature."""
    z_NK = logits_NK.astype(np.float64) / temperature
    return float((_log_sum_exp(z_NK) - z_NK[np.arange(len(z_NK)), labels_N]).mean())


def fit_temperature(logits_NK: np.ndarray, labels_N: np.ndarray) -> FittedTemperature:
    """Finds the temperature of least mean negative log-likelihood.

    Args:
        logits_NK: float ``[N, K]``, N at least 1.
        labels_N: int ``[N]``.
    """
    z_NK = logits_NK.astype(np.float64)
    low, high = 1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE
    if _slope(z_NK, labels_N, low) >= 0:
        return FittedTemperature(value=MAX_TEMPERATURE, at_bound=True)
    if _slope(z_NK, labels_N, high) <= 0:
        return FittedTemperature(value=MIN_TEMPERATURE, at_bound=True)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(z_NK, labels_N, middle) < 0:
            low = middle
        else:
            high = middle
    return FittedTemperature(value=2 / (low + high), at_bound=False)


def _slope(z_NK: np.ndarray, labels_N: np.ndarray, inverse: float) -> float:
    """Slope of the mean negative log-likelihood in ``1 / T``: expected logit minus the label's."""
    x_NK = z_NK * inverse
    p_NK = np.exp(x_NK - _log_sum_exp(x_NK)[:, None])
    return float(((p_NK * z_NK).sum(1) - z_NK[np.arange(len(z_NK)), labels_N]).mean())


def _log_sum_exp(z_NK: np.ndarray) -> np.ndarray:
    peak_N = z_NK.max(1)
    return np.asarray(peak_N + np.log(np.exp(z_NK - peak_N[:, None]).sum(1)))
