"""Operators that are slow in INT8 on LiteRT, although they are integer.

What XNNPACK does not take runs in LiteRT's own kernels, of which many are plain loops. A factor is
a measurement of ours (x86-64 with VNNI, one thread, networks of DARTS cells): time of the INT8
operator over that of the same operator in float. It does not transfer to ARM; None: not measured.
"""

from typing import Any

from edge_fer.audit.delegates import XNNPACK
from edge_fer.audit.model import CONVERSIONS, ModelGraph, Operator, place

FACTORS: dict[str, float] = {"AVERAGE_POOL_2D": 5.0, "RELU": 3.8, "RELU6": 3.8}
DILATED_5X5_FACTOR = 2.5


def slow_operators(graph: ModelGraph) -> list[dict[str, Any]]:
    """Returns a record for each: its place, ``factor`` (times float, or None) and ``why``."""
    if graph.format != "tflite":
        return []
    return [
        {**place(graph, one), "factor": factor, "why": why}
        for one in graph.operators
        for factor, why in _judge(graph, one)
    ]


def _judge(graph: ModelGraph, operator: Operator) -> list[tuple[float | None, str]]:
    if graph.is_float(operator) or operator.kind in CONVERSIONS:
        return []
    if _is_dilated_5x5(graph, operator):
        return [(DILATED_5X5_FACTOR, "dilated 5x5 depthwise convolution")]
    if "INT8" in graph.types(operator) and operator.kind not in XNNPACK.kinds["INT8"]:
        return [(FACTORS.get(operator.kind), "XNNPACK has no INT8 kernel for it")]
    return []


def _is_dilated_5x5(graph: ModelGraph, operator: Operator) -> bool:
    weight = graph.weight(operator)
    dilated = operator.options.get("dilationHFactor", 1) > 1
    return bool(
        operator.kind == "DEPTHWISE_CONV_2D" and dilated and weight and weight.shape[1:3] == (5, 5)
    )
