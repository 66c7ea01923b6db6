"""What to make of the findings: errors, warnings and notes, one line each."""

from collections.abc import Iterator
from typing import Any

from edge_fer.audit.model import CONVERSIONS, FLOATS, NARROW, ModelGraph

SEVERITIES = ("error", "warning", "note")
#: Patterns of which each occurrence is listed already; the verdict counts them.
_SHOWN = 3


def verdicts(
    graph: ModelGraph, document: dict[str, Any], *, claims_int8: bool
) -> list[dict[str, str]]:
    """Judges a file.

    Args:
        graph: Of the file.
        document: What was found so far, one of ``files`` of ``edge-fer/audit/1``.
        claims_int8: Whether the file says that it is INT8, by its name or its bundle's manifest.

    Returns:
        Records of ``severity``, ``code`` and ``message``, the gravest first.
    """
    found = [*_integrity(graph, document, claims_int8), *_quality(document)]
    found += [
        *_patterns(document["patterns"]),
        *_speed(document["slow"]),
        *_engine(graph, document["engine"]),
        *_delegation(document["delegates"]),
    ]
    found.sort(key=lambda one: SEVERITIES.index(one[0]))
    return [{"severity": s, "code": code, "message": message} for s, code, message in found]


_Found = Iterator[tuple[str, str, str]]


def _integrity(graph: ModelGraph, document: dict[str, Any], claims_int8: bool) -> _Found:
    if not graph.is_quantized:
        if claims_int8:
            yield "error", "not-quantized", "says that it is INT8, but nothing in it is quantized"
        else:
            yield "note", "float", "a float model: nothing in it is quantized"
        return
    for end, keys in (("input", graph.inputs), ("output", graph.outputs)):
        for key in keys:
            tensor = graph.tensors[key]
            if tensor.is_float:
                yield "error", "float-io", f"{end} {tensor.name} is {tensor.dtype}"
    floats = document["float_operators"]
    if any(one["hybrid"] for one in floats):
        share = 1 - document["macs"]["integer_share"]
        message = f"weights are integers but activations are not: {share:.1%} of MACs are in float"
        yield "error", "float-activations", message
    elif graph.is_dynamic:
        message = "activations are quantized anew for each input, and computed with in float"
        yield "error", "dynamic-quantization", message
    elif floats:
        kinds = ", ".join(dict.fromkeys(one["kind"] for one in floats))
        share = 1 - (document["macs"]["integer_share"] or 0) if graph.macs else 0
        message = f"{len(floats)} operators compute in float ({share:.1%} of MACs): {kinds}"
        yield "error", "float-operators", message
    elif not any(_is_integer(graph, one.kind, graph.types(one)) for one in graph.operators):
        yield "error", "no-integer-operator", "no operator computes with 8-bit integers"


def _is_integer(graph: ModelGraph, kind: str, types: set[str]) -> bool:
    return kind not in CONVERSIONS and not FLOATS & types and bool(NARROW & types)


def _quality(document: dict[str, Any]) -> _Found:
    weights = document["weights"]
    if weights["per_tensor"]:
        total = weights["per_tensor"] + weights["per_channel"]
        message = f"{weights['per_tensor']} of {total} quantized weights have one scale for all"
        yield "warning", "per-tensor-weights", f"{message} channels; one each is more exact"
    if weights["asymmetric"]:
        message = f"{weights['asymmetric']} weights have a zero point other than 0"
        yield "warning", "asymmetric-weights", f"{message}; kernels are made for 0"
    wide = {one["dtype"] for one in document["inputs"] + document["outputs"]} & {"INT16", "UINT16"}
    if wide:
        yield "note", "16-bit", "inputs or outputs are 16-bit integers"


def _patterns(patterns: list[dict[str, Any]]) -> _Found:
    names = dict.fromkeys(one["pattern"] for one in patterns)
    for name in names:
        ours = [one for one in patterns if one["pattern"] == name]
        where = ", ".join(f"{one['kind']} {one['index']}" for one in ours[:_SHOWN])
        more = ", .." if len(ours) > _SHOWN else ""
        times = f"{len(ours)} times" if len(ours) > 1 else "once"
        yield ours[0]["severity"], name, f"{times} ({where}{more}): {ours[0]['message']}"


def _speed(slow: list[dict[str, Any]]) -> _Found:
    for kind in dict.fromkeys(one["kind"] for one in slow):
        ours = [one for one in slow if one["kind"] == kind]
        factor = ours[0]["factor"]
        times = f"about {factor:g} times its float twin on x86-64" if factor else "not measured"
        message = f"{len(ours)} {kind}: {ours[0]['why']}; {times}"
        yield ("warning" if factor else "note"), "slow-int8", message


def _engine(graph: ModelGraph, engine: dict[str, Any] | None) -> _Found:
    if engine is None:
        return
    if "problem" in engine:
        yield "error", "engine-refuses", engine["problem"]
    elif graph.is_quantized and engine.get("float"):
        kinds = ", ".join(f"{count} {kind}" for kind, count in engine["float"].items())
        yield "warning", "engine-float", f"ONNX Runtime runs in float what could be INT8: {kinds}"


def _delegation(delegates: list[dict[str, Any]]) -> _Found:
    for one in delegates:
        first = one["first_break"]
        if first:
            taken = "" if one["macs_share"] is None else f", {one['macs_share']:.1%} of MACs"
            where = f"{first['kind']} {first['index']}: {first['why']}"
            message = (
                f"{one['name']} takes {one['operators']} of {one['operators_total']} operators"
            )
            yield "note", "delegate", f"{message}{taken}; stopped by {where}"
