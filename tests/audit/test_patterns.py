import numpy as np
import pytest

from edge_fer.audit.causes import cause_of
from edge_fer.audit.delegates import EDGE_TPU, TENSORRT, XNNPACK, coverage
from edge_fer.audit.layers import weight_spread
from edge_fer.audit.model import ModelGraph, Operator, Tensor
from edge_fer.audit.patterns import find_patterns, islands
from edge_fer.audit.slow import slow_operators
from edge_fer.audit.tensors import Pair, Sums


def tensor(dtype, *, values=None, shape=(1, 4, 4, 8)):
    scales = (0.1,) if dtype in {"INT8", "UINT8"} else ()
    return Tensor(
        name="t",
        dtype=dtype,
        shape=shape if values is None else values.shape,
        scales=scales,
        zero_points=(0,) * len(scales),
        values=values,
        constant=values is not None,
    )


def chain(*steps, format_="tflite"):
    """A graph of operators in a row; each step is ``(kind, type of its result, options)``."""
    tensors = {"0": tensor(steps[0][1])}
    operators = []
    for index, (kind, dtype, *more) in enumerate(steps[1:]):
        options = more[0] if more else {}
        inputs = [str(index)]
        if "weight" in options:
            tensors[f"w{index}"] = tensor("INT8", values=options["weight"])
            inputs.append(f"w{index}")
        tensors[str(index + 1)] = tensor(dtype, shape=options.get("shape", (1, 4, 4, 8)))
        operators.append(
            Operator(
                index=index,
                kind=kind,
                inputs=tuple(inputs),
                outputs=(str(index + 1),),
                macs=options.get("macs", 0),
                activation=options.get("activation", ""),
                options=options,
            )
        )
    return ModelGraph(
        format=format_,
        operators=tuple(operators),
        tensors=tensors,
        inputs=("0",),
        outputs=(str(len(steps) - 1),),
    )


I8, F32 = "INT8", "FLOAT32"
SHAPED = {"shape": (1, 128)}
DILATED = {"dilationHFactor": 2, "macs": 1, "weight": np.ones((1, 5, 5, 8), np.int8)}


@pytest.mark.parametrize(
    ("expected", "steps"),
    [
        (["quantize-dequantize"], [("", F32), ("QUANTIZE", I8), ("DEQUANTIZE", F32)]),
        (["quantize-dequantize"], [("", I8), ("DEQUANTIZE", F32), ("QUANTIZE", I8)]),
        (["rescaling"], [("", I8), ("QUANTIZE", I8)]),
        (["rescaling"], [("", I8), ("QUANTIZE", "UINT8")]),
        (
            ["inverse-transposes"],
            [
                ("", I8),
                ("Transpose", I8, {"perm": [0, 3, 1, 2]}),
                ("Transpose", I8, {"perm": [0, 2, 3, 1]}),
            ],
        ),
        (
            [],
            [
                ("", I8),
                ("Transpose", I8, {"perm": [0, 3, 1, 2]}),
                ("Transpose", I8, {"perm": [0, 3, 1, 2]}),
            ],
        ),
        (["idle-reshape"], [("", I8), ("RESHAPE", I8)]),
        (["idle-reshape"], [("", I8), ("RESHAPE", I8, SHAPED), ("RESHAPE", I8)]),
        ([], [("", I8), ("RESHAPE", I8, SHAPED)]),
        (["separate-padding"], [("", I8), ("PAD", I8), ("CONV_2D", I8)]),
        ([], [("", I8), ("PAD", I8), ("ADD", I8)]),
        (["lone-activation"], [("", I8), ("CONV_2D", I8), ("RELU", I8)]),
        ([], [("", I8), ("CONV_2D", I8, {"activation": "RELU6"}), ("RELU", I8)]),
        ([], [("", I8), ("MAX_POOL", I8), ("RELU", I8)]),
        (
            ["float-island"],
            [
                ("", I8),
                ("CONV_2D", I8),
                ("DEQUANTIZE", F32),
                ("ELU", F32),
                ("QUANTIZE", I8),
                ("CONV_2D", I8),
            ],
        ),
        ([], [("", I8), ("CONV_2D", I8), ("DEQUANTIZE", F32), ("SOFTMAX", F32)]),
        ([], [("", F32), ("CONV_2D", F32), ("RELU", F32)]),
    ],
)
def test_patterns_are_found(expected, steps):
    assert [one["pattern"] for one in find_patterns(chain(*steps))] == expected


def test_float_operators_that_feed_each_other_are_one_island():
    graph = chain(
        ("", I8), ("A", F32), ("B", F32), ("QUANTIZE", I8), ("C", I8), ("D", F32), ("E", F32)
    )
    assert [[one.kind for one in group] for group in islands(graph)] == [
        ["A", "B"],
        ["D", "E"],
    ]


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (("AVERAGE_POOL_2D", I8), 5.0),
        (("RELU", I8), 3.8),
        (("SOFTMAX", I8), None),
        (("DEPTHWISE_CONV_2D", I8, DILATED), 2.5),
    ],
    ids=["pool", "relu", "softmax", "dilated"],
)
def test_slow_operators_are_named_with_what_was_measured(step, factor):
    (found,) = slow_operators(chain(("", I8), step))
    assert found["factor"] == factor


def test_what_is_fast_or_in_float_is_not_named():
    assert slow_operators(chain(("", I8), ("CONV_2D", I8), ("MEAN", I8))) == []
    assert slow_operators(chain(("", F32), ("AVERAGE_POOL_2D", F32))) == []


def test_the_edge_tpu_stops_at_the_first_operator_it_refuses():
    graph = chain(
        ("", I8), ("CONV_2D", I8, {"macs": 30}), ("GELU", I8), ("CONV_2D", I8, {"macs": 70})
    )
    xnnpack, edge_tpu = coverage(graph)
    assert (edge_tpu["operators"], edge_tpu["macs_share"]) == (1, 0.3)
    assert edge_tpu["first_break"]["kind"] == "GELU"
    assert (xnnpack["operators"], xnnpack["macs_share"]) == (2, 1)


@pytest.mark.parametrize("delegate", [XNNPACK, EDGE_TPU, TENSORRT], ids=lambda one: one.name)
def test_every_delegate_says_where_its_list_is_from(delegate):
    assert delegate.version
    assert delegate.source
    assert all(delegate.kinds.values())


def figures(**changes):
    values = {
        "sqnr_db": 20.0,
        "clipped_share": 0.0,
        "levels": 200,
        "weight_spread": None,
        "upstream_db": 40.0,
    }
    return values | changes


@pytest.mark.parametrize(
    ("cause", "changes"),
    [
        ("rounding", {}),
        ("none", {"sqnr_db": None}),
        ("range clipped", {"clipped_share": 0.02}),
        ("range too wide", {"levels": 12}),
        ("one scale for weights", {"weight_spread": 50.0}),
        ("error of earlier layers", {"upstream_db": 20.5}),
    ],
)
def test_the_likely_cause(cause, changes):
    assert cause_of(figures(**changes)).startswith(cause)


def test_the_spread_of_weights_that_share_a_scale():
    weight = tensor("INT8", values=np.array([[127, -3], [5, 1]], np.int8))
    assert weight_spread(weight) == 127 / 5
    assert weight_spread(None) is None


PAIR = Pair(ours=0, theirs=0, dtype="INT8", scale=0.5, zero_point=0)


def test_signal_to_noise_is_that_of_the_sums():
    sums = Sums()
    sums.add(PAIR, np.array([2, 4], np.int8), np.array([1.0, 1.5]))
    sums.add(PAIR, np.array([0], np.int8), np.array([0.0]))
    ratio = (1.0 + 1.5**2) / 0.5**2
    assert sums.figures()["sqnr_db"] == pytest.approx(10 * np.log10(ratio))
    assert sums.figures()["levels"] == 3


def test_values_beyond_the_range_are_clipped():
    sums = Sums()
    sums.add(PAIR, np.array([127, 127, -128, 1], np.int8), np.array([63.5, 70, -80, 0.5]))
    assert sums.figures()["clipped_share"] == 0.5


def test_no_error_has_no_ratio():
    sums = Sums()
    sums.add(PAIR, np.array([1], np.int8), np.array([0.5]))
    assert sums.figures()["sqnr_db"] is None
