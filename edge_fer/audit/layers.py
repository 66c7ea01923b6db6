"""How much each layer of an INT8 model strays from its float twin."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_fer.audit.audit import Subject, channels
from edge_fer.audit.causes import cause_of
from edge_fer.audit.faces import faces_for, preprocessing_of
from edge_fer.audit.isolate import isolated
from edge_fer.audit.model import NARROW, ModelGraph, Operator, Tensor, place
from edge_fer.audit.patterns import ACTIVATIONS
from edge_fer.audit.tensors import Pair, compare_tensors
from edge_fer.errors import ModelError

FACES = 32


def layer_errors(
    subject: Subject, graph: ModelGraph, reference: Subject, twin: ModelGraph, data: str
) -> dict[str, Any]:
    """Runs a quantized model and its float twin on the same faces.

    Args:
        subject: The quantized file.
        graph: Of it.
        reference: The float file.
        twin: Of it.
        data: Specification of the faces.

    Returns:
        ``reference``, ``data``, ``faces``, ``unmatched`` (operators that have no counterpart), and
        ``rows``: place, ``sqnr_db`` (None: no error at all), ``clipped_share``, ``levels``,
        ``weight_spread``, ``upstream_db`` and ``cause`` of each operator, the worst first.

    Raises:
        EdgeFerError: The faces cannot be read, or the files are not of one network.
    """
    pairs = matches(graph, twin)
    if not pairs:
        raise ModelError(f"{reference.name}: no tensor of {subject.name} is in it")
    shape = graph.tensors[graph.inputs[0]].shape
    preprocessing = subject.preprocessing or preprocessing_of(shape, subject.name)
    faces = faces_for(data, preprocessing, count=FACES)
    figures = isolated(
        compare_tensors,
        graph.format,
        subject.content,
        reference.content,
        [_pair(graph, twin, *names) for names in pairs.values()],
        _ends(graph, twin),
        faces,
        name=subject.name,
    )
    found = dict(zip(pairs, figures, strict=True))
    rows = [_row(graph, graph.operators[index], found) for index in found]
    rows.sort(key=lambda row: np.inf if row["sqnr_db"] is None else row["sqnr_db"])
    return {
        "reference": reference.name,
        "data": data.partition(":")[0],
        "faces": len(faces),
        "unmatched": len(graph.operators) - len(rows),
        "rows": rows,
    }


def matches(graph: ModelGraph, twin: ModelGraph) -> dict[int, tuple[str, str]]:
    """Returns, by the operator's index, its integer result and the float tensor it stands for.

    By name; where the names differ, operators with MACs are matched in their order.
    """
    by_order = _by_order(graph, twin)
    found = {}
    for one in graph.operators:
        key = one.outputs[0] if one.outputs else ""
        if key not in graph.tensors or not _is_measurable(graph.tensors[key]):
            continue
        candidates = (graph.tensors[key].source, key, by_order.get(one.index, ""))
        for name in candidates:
            other = twin.tensors.get(name)
            if other and other.is_float and other.shape == graph.tensors[key].shape:
                found[one.index] = (key, name)
                break
    return found


def _is_measurable(tensor: Tensor) -> bool:
    return tensor.dtype in NARROW and len(tensor.scales) == 1 and not tensor.constant


def _by_order(graph: ModelGraph, twin: ModelGraph) -> dict[int, str]:
    ours, theirs = ([one for one in each.operators if one.macs] for each in (graph, twin))
    if [one.macs for one in ours] != [one.macs for one in theirs]:
        return {}
    return {
        one.index: _after_activation(twin, other, stop=_is_activated(graph, one))
        for one, other in zip(ours, theirs, strict=True)
    }


def _is_activated(graph: ModelGraph, operator: Operator) -> bool:
    return any(one.kind in ACTIVATIONS for one in graph.after(operator))


def _after_activation(twin: ModelGraph, operator: Operator, *, stop: bool) -> str:
    following = twin.after(operator)
    if not stop and len(following) == 1 and following[0].kind in ACTIVATIONS:
        return following[0].outputs[0]
    return operator.outputs[0]


def _pair(graph: ModelGraph, twin: ModelGraph, key: str, other: str) -> Pair:
    tensor = graph.tensors[key]
    return Pair(
        ours=_handle(graph, key),
        theirs=_handle(twin, other),
        dtype=tensor.dtype,
        scale=tensor.scales[0],
        zero_point=tensor.zero_points[0] if tensor.zero_points else 0,
    )


def _handle(graph: ModelGraph, key: str) -> str | int:
    """What the engine knows a tensor by: LiteRT counts them, ONNX names them."""
    return list(graph.tensors).index(key) if graph.format == "tflite" else key


def _ends(graph: ModelGraph, twin: ModelGraph) -> tuple[dict[str, Any], dict[str, Any]]:
    """How to feed the two models."""
    return _end(graph), _end(twin)


def _end(graph: ModelGraph) -> dict[str, Any]:
    tensor = graph.tensors[graph.inputs[0]]
    return {
        "handle": _handle(graph, graph.inputs[0]),
        "shape": tensor.shape,
        "dtype": tensor.dtype.lower(),
        "scale": tensor.scales[0] if tensor.scales else 1.0,
        "zero_point": tensor.zero_points[0] if tensor.zero_points else 0,
    }


def _row(
    graph: ModelGraph, operator: Operator, found: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    figures = dict(found[operator.index])
    figures["weight_spread"] = weight_spread(graph.weight(operator))
    figures["upstream_db"] = _upstream(graph, operator, found)
    return {**place(graph, operator), **figures, "cause": cause_of(figures)}


def _upstream(
    graph: ModelGraph, operator: Operator, found: Mapping[int, Mapping[str, Any]]
) -> float | None:
    """The worst of what it reads, None if none of that was measured."""
    values = [
        found[one.index]["sqnr_db"]
        for one in graph.before(operator)
        if one.index in found and found[one.index]["sqnr_db"] is not None
    ]
    return min(values, default=None)


def weight_spread(weight: Tensor | None) -> float | None:
    """Largest over smallest range of a channel, of weights that share one scale; else None."""
    if weight is None or weight.values is None or len(weight.scales) != 1:
        return None
    if weight.dtype not in NARROW or channels(weight) == 1:
        return None
    axis = 0 if weight.shape[0] > 1 else len(weight.shape) - 1
    steps = np.abs(weight.values.astype(np.float64) - weight.zero_points[0])
    peaks = np.moveaxis(steps, axis, 0).reshape(weight.shape[axis], -1).max(1)
    return float(peaks.max() / max(peaks.min(), 1))
