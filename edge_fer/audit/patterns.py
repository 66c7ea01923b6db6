"""What could be left out of a graph, or done together: a search for known patterns."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edge_fer.audit.model import CONVERSIONS, DEQUANTIZE, QUANTIZE, ModelGraph, Operator, place

TRANSPOSE = frozenset({"TRANSPOSE", "Transpose"})
RESHAPES = frozenset(
    {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}
)
ACTIVATIONS = frozenset({"RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "Relu", "Clip"})
#: Operators that take an activation into themselves.
FUSING = frozenset(
    {
        "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "DIV",
        "AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION", "Conv", "Gemm", "Add", "MatMul",
    }
)  # fmt: skip
_WINDOWS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "Conv", "AVERAGE_POOL_2D", "AveragePool"})


def find_patterns(graph: ModelGraph) -> list[dict[str, Any]]:
    """Returns a record for each finding: ``pattern``, ``severity``, ``message`` and its place."""
    return [
        {"pattern": name, "severity": severity, "message": message, **place(graph, operator)}
        for name, (severity, search) in PATTERNS.items()
        for operator, message in search(graph)
    ]


def _there_and_back(graph: ModelGraph) -> Iterator[tuple[Operator, str]]:
    for first in graph.operators:
        for second in graph.after(first):
            if first.kind in QUANTIZE and second.kind in DEQUANTIZE:
                yield second, "quantized and dequantized again with nothing in between"
            elif first.kind in DEQUANTIZE and second.kind in QUANTIZE:
                yield second, "dequantized and quantized again with nothing in between"


def _rescaling(graph: ModelGraph) -> Iterator[tuple[Operator, str]]:
    for one in graph.operators:
        if one.kind in QUANTIZE and one.inputs and not graph.tensors[one.inputs[0]].is_float:
            yield one, "only changes the scale of an integer tensor"


def _inverse_transposes(graph: ModelGraph) -> Iterator[tuple[Operator, str]]:
    for first in graph.operators:
        order = _order(graph, first)
        for second in graph.after(first) if order else ():
            back = _order(graph, second)
            if back and [order[axis] for axis in back] == sorted(order):
                yield second, f"undoes the transpose of operator {first.index}"


def _order(graph: ModelGraph, operator: Operator) -> list[int]:
    if operator.kind not in TRANSPOSE:
        return []
    if "perm" in operator.options:
        return [int(axis) for axis in operator.options["perm"]]
    values = graph.tensors[operator.parameters[0]].values if operator.parameters else None
    return [] if values is None else [int(axis) for axis in np.ravel(values)]


def _idle_reshapes(graph: ModelGraph) -> Iterator[tuple[Operator, str]]:
    for one in graph.operators:
        if one.kind not in RESHAPES or not one.inputs:
            continue
        shape = graph.tensors[one.outputs[0]].shape
        if shape and shape == graph.tensors[one.inputs[0]].shape:
            yield one, "changes no shape"
        elif any(following.kind in RESHAPES for following in graph.after(one)):
            yield one, "is reshaped again at once"


def _paddings(graph: ModelGraph) -> Iterator[tuple[Operator, str]]:
    for one in graph.operators:
        if one.kind in {"PAD", "Pad"}:
            users = [user.kind for user in graph.after(one) if user.kind in _WINDOWS]
            if users:
                yield one, f"a padding of its own before {users[0]}"


def _lone_activations(graph: ModelGraph) -> Iterator[tuple[Operator, str]]:
    for one in graph.operators:
        before = graph.before(one)
        if one.kind not in ACTIVATIONS or len(before) != 1 or graph.is_float(one):
            continue
        (source,) = before
        if source.kind in FUSING and not source.activation and len(graph.after(source)) == 1:
            yield one, f"could be fused into {source.kind} {source.index}"


def _islands(graph: ModelGraph) -> Iterator[tuple[Operator, str]]:
    if not graph.is_quantized:
        return
    for island in islands(graph):
        before = {one.index for node in island for one in graph.before(node)}
        after = {one.index for node in island for one in graph.after(node)}
        inside = {node.index for node in island}
        integer = {
            one.index
            for one in graph.operators
            if not graph.is_float(one) and one.kind not in CONVERSIONS
        }
        if _reaches(graph, before - inside, integer, graph.before) and _reaches(
            graph, after - inside, integer, graph.after
        ):
            kinds = ", ".join(dict.fromkeys(node.kind for node in island))
            yield island[0], f"{len(island)} float operators between integer ones: {kinds}"


def _reaches(
    graph: ModelGraph,
    start: set[int],
    goal: set[int],
    onwards: Callable[[Operator], list[Operator]],
) -> bool:
    """Whether an integer operator comes directly, or behind a conversion."""
    near = set(start)
    for index in start:
        if graph.operators[index].kind in CONVERSIONS:
            near |= {one.index for one in onwards(graph.operators[index])}
    return bool(near & goal)


def islands(graph: ModelGraph) -> list[list[Operator]]:
    """Groups of float operators that feed each other, in execution order."""
    group_of: dict[int, list[Operator]] = {}
    for one in graph.operators:
        if graph.is_float(one):
            joined = [one]
            for source in graph.before(one):
                if source.index in group_of and group_of[source.index] is not joined:
                    joined = [*group_of[source.index], *(n for n in joined)]
            unique = sorted({node.index: node for node in joined}.values(), key=lambda n: n.index)
            for node in unique:
                group_of[node.index] = unique
    return list({id(group): group for group in group_of.values()}.values())


_Search = Callable[[ModelGraph], Iterator[tuple[Operator, str]]]
#: Severity and search of each pattern.
PATTERNS: dict[str, tuple[str, _Search]] = {
    "quantize-dequantize": ("warning", _there_and_back),
    "rescaling": ("note", _rescaling),
    "inverse-transposes": ("warning", _inverse_transposes),
    "idle-reshape": ("note", _idle_reshapes),
    "separate-padding": ("note", _paddings),
    "lone-activation": ("warning", _lone_activations),
    "float-island": ("warning", _islands),
}
