import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_fer.compress.ranges import Method, measure_ranges, observe, quantization_error, range_of
from edge_fer.errors import EdgeFerError

VALUES = arrays(np.float32, st.integers(2, 300), elements=st.floats(-1000, 1000, width=32)).filter(
    lambda x: np.ptp(x) > 1e-3
)
PERCENTILE = Method(name="percentile", percentile=99)
ALL = [Method(), PERCENTILE, Method(name="mse")]


@given(VALUES, st.floats(51, 100))
def test_a_percentile_lies_within_the_extremes(values, percentile):
    observation = observe(values)
    low, high = range_of(observation, Method())
    inner = range_of(observation, Method(name="percentile", percentile=percentile))
    slack = 1e-6 * (high - low)
    assert low - slack <= inner[0] <= 0 <= inner[1] <= high + slack


@given(VALUES)
def test_the_mse_range_is_never_worse_than_the_extremes(values):
    observation = observe(values)
    error = quantization_error(observation, *range_of(observation, Method(name="mse")))
    assert error <= quantization_error(observation, *range_of(observation, Method())) * (1 + 1e-9)


@given(VALUES, st.sampled_from(ALL))
def test_zero_is_always_in_the_range(values, method):
    low, high = range_of(observe(np.abs(values) + 1), method)
    assert low == 0 <= high


@given(VALUES, st.sampled_from([Method(), PERCENTILE]))
def test_a_symmetric_tensor_has_a_symmetric_range(values, method):
    observation = observe(np.concatenate([values, -values]))
    low, high = range_of(observation, method)
    bin_width = (observation.high - observation.low) / len(observation.counts_B)
    assert high == pytest.approx(-low, abs=1.01 * bin_width)


def test_one_outlier_does_not_waste_the_levels():
    values = np.append(np.random.default_rng(0).normal(size=500_000), 12).astype(np.float32)
    assert range_of(observe(values), Method())[1] == 12
    for method in (Method(name="percentile", percentile=99.99), Method(name="mse")):
        assert range_of(observe(values), method)[1] < 8, method


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_a_constant_tensor_has_a_range_that_holds_it(method, value):
    low, high = range_of(observe(np.full(9, value, np.float32)), method)
    assert low <= value <= high


@pytest.mark.parametrize("method", ALL, ids=lambda method: method.name)
def test_many_faces_are_measured_as_one_array(method):
    faces = np.random.default_rng(0).normal(size=(20, 400)).astype(np.float32)
    ranges = measure_ranges(lambda: ({"x": face, "end": face} for face in faces), method, {"end"})
    assert ranges["x"] == pytest.approx(range_of(observe(faces), method))
    assert ranges["end"] == pytest.approx((faces.min(), faces.max()))


@pytest.mark.parametrize(
    ("name", "percentile"),
    [("median", 100), ("percentile", 50), ("percentile", 101), ("mse", 99), ("min_max", 99.9)],
)
def test_a_method_that_makes_no_sense_is_refused(name, percentile):
    with pytest.raises(EdgeFerError):
        Method(name=name, percentile=percentile)
