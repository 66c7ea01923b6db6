"""Vector scaling: a scale and an offset of each class's logit, so that confidence means accuracy.

Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. The mean negative
log-likelihood is convex in them, so Newton's method finds its one minimum. Unlike a temperature it
may change labels.

Shape suffixes: N faces, K classes.
"""

import numpy as np

from edge_fer.evaluate.temperature import negative_log_likelihood

#: Weight of the squared distance from "nothing changed": an offset common to all classes changes no
#: probability, and this makes it zero.
_PULL = 1e-5
_STEPS = 50
_SMALLEST_STEP = 1e-10


def fit_class_scaling(logits_NK: np.ndarray, labels_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the scales and offsets of least mean negative log-likelihood.

    Args:
        logits_NK: float ``[N, K]``.
        labels_N: int ``[N]``, every class at least once.

    Returns:
        Scales and offsets, float64 ``[K]`` each; ``logits * scales + offsets`` is calibrated.
    """
    z_NK = logits_NK.astype(np.float64)
    k = z_NK.shape[1]
    start = np.concatenate([np.ones(k), np.zeros(k)])
    found = start
    for _ in range(_STEPS):
        slope, curvature = _derivatives(z_NK, labels_N, found, start)
        step = np.linalg.solve(curvature, slope)
        least = _loss(z_NK, labels_N, found, start)
        while (
            np.abs(step).max() > _SMALLEST_STEP
            and _loss(z_NK, labels_N, found - step, start) > least
        ):
            step = step / 2
        found = found - step
        if np.abs(step).max() < _SMALLEST_STEP:
            break
    return found[:k], found[k:]


def _loss(z_NK: np.ndarray, labels_N: np.ndarray, point: np.ndarray, start: np.ndarray) -> float:
    k = z_NK.shape[1]
    likelihood = negative_log_likelihood(z_NK * point[:k] + point[k:], labels_N, 1.0)
    return likelihood + _PULL * float(((point - start) ** 2).sum())


def _derivatives(
    z_NK: np.ndarray, labels_N: np.ndarray, point: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    n, k = z_NK.shape
    x_NK = z_NK * point[:k] + point[k:]
    p_NK = np.exp(x_NK - x_NK.max(1, keepdims=True))
    p_NK /= p_NK.sum(1, keepdims=True)
    error_NK = p_NK - np.eye(k)[labels_N]
    slope = np.concatenate([(error_NK * z_NK).mean(0), error_NK.mean(0)])
    weighted = np.concatenate([p_NK * z_NK, p_NK], 1)
    squares, firsts = (p_NK * z_NK**2).mean(0), (p_NK * z_NK).mean(0)
    curvature = -weighted.T @ weighted / n + np.block(
        [[np.diag(squares), np.diag(firsts)], [np.diag(firsts), np.diag(p_NK.mean(0))]]
    )
    return slope + 2 * _PULL * (point - start), curvature + 2 * _PULL * np.eye(2 * k)
