import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.evaluate.class_scaling import fit_class_scaling
from edge_fer.evaluate.metrics import expected_calibration_error
from edge_fer.evaluate.temperature import fit_temperature, negative_log_likelihood
from edge_fer.runtime.classifier import softmax
from tests.evaluate.test_temperature import drawn_from


def made(seed, n=400, k=4):
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(0, 1.5, (n, k))
    labels_N = drawn_from(logits_NK, rng)
    labels_N[:k] = np.arange(k)
    return logits_NK, labels_N


def test_known_scales_and_offsets_are_found():
    logits_NK, labels_N = made(0, n=100_000)
    scales_K, offsets_K = np.array([0.5, 1, 2, 4]), np.array([1, 0.5, -0.5, -1])
    found_K, shifts_K = fit_class_scaling((logits_NK - offsets_K) / scales_K, labels_N)
    assert found_K == pytest.approx(scales_K, rel=0.05)
    assert shifts_K == pytest.approx(offsets_K, abs=0.05)


def test_it_mends_what_a_temperature_cannot():
    logits_NK, labels_N = made(1, n=60_000)
    skewed_NK = logits_NK * [0.3, 1, 3, 3] + [0, 3, 0, -3]
    temperature = fit_temperature(skewed_NK, labels_N).value
    scales_K, offsets_K = fit_class_scaling(skewed_NK, labels_N)
    one, all_of_them = (
        expected_calibration_error(softmax(z_NK), labels_N)
        for z_NK in (skewed_NK / temperature, skewed_NK * scales_K + offsets_K)
    )
    assert one > 0.03
    assert all_of_them < 0.01


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 30), offset=st.floats(-5, 5))
@settings(deadline=None, max_examples=40)
def test_nothing_nearby_is_better(seed, scale, offset):
    logits_NK, labels_N = made(seed)
    logits_NK = logits_NK * [scale, 1, 1, 1] + [0, offset, 0, 0]
    scales_K, offsets_K = fit_class_scaling(logits_NK, labels_N)

    def loss(scales_K, offsets_K):
        return negative_log_likelihood(logits_NK * scales_K + offsets_K, labels_N, 1.0)

    least = loss(scales_K, offsets_K)
    assert offsets_K.sum() == pytest.approx(0, abs=0.01)
    for k in range(4):
        for change in (-0.1, 0.1):
            moved_K = change * np.eye(4)[k]
            assert loss(scales_K + moved_K * max(1, scales_K[k]), offsets_K) >= least - 1e-6
            assert loss(scales_K, offsets_K + moved_K) >= least - 1e-6


def test_logits_far_from_right_are_brought_back():
    logits_NK, labels_N = made(2)
    far_NK = 1000 * logits_NK + [0, 500, -500, 0]
    scales_K, offsets_K = fit_class_scaling(far_NK, labels_N)
    best = negative_log_likelihood(logits_NK, labels_N, 1.0)
    assert negative_log_likelihood(far_NK * scales_K + offsets_K, labels_N, 1.0) < best + 0.01
