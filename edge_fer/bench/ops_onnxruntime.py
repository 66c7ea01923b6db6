"""ONNX Runtime's profiler, less what it costs itself.

It adds some microseconds to each operator, more to one with more inputs, since it writes down their
shapes before it stops its clock: as much as a small operator takes. How much is measured beside the
model, on operators of one and of eight inputs that have next to nothing to do, and taken off.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bench.bench import example_input
from edge_fer.errors import ModelError
from edge_fer.runtime.engines import OnnxRuntimeEngine

FEW, MANY, COPIES = 1, 8, 8
_SUFFIX = "_kernel_time"
#: Field 20, the kind of an attribute, with the number that means an integer.
_ATTRIBUTE_IS_INT = bytes([0xA0, 0x01, 2])


@dataclass
class Traced:
    """One operator of a trace.

    Attributes:
        kind: As ONNX or ONNX Runtime calls it.
        inputs: How many it has.
        us: Of each run, whole microseconds.
    """

    kind: str
    inputs: int
    us: list[float]


def onnxruntime_operators(
    content: bytes, threads: int, *, rounds: int, inferences: int
) -> dict[str, Any]:
    """Profiles an ``.onnx`` file.

    Args:
        content: The file.
        threads: Of one inference.
        rounds: Alternations between profiled and plain inferences, after one that is not counted.
        inferences: Of each kind in a round.

    Returns:
        ``operators``: ``name``, ``kind`` and ``us`` of every inference; ``whole_ms`` of each plain
        inference; ``profiler_us`` that the profiler adds to an operator of one input, which
        is already taken off.

    Raises:
        ModelError: The file does not load, or the trace holds no operator.
    """
    with tempfile.TemporaryDirectory() as folder:
        prefixes = [str(Path(folder) / name) for name in ("model", "idle")]
        plain = OnnxRuntimeEngine(content, "model", threads)
        profiled = OnnxRuntimeEngine(content, "model", threads, profile=prefixes[0])
        idle = OnnxRuntimeEngine(idle_model(), "idle", threads, profile=prefixes[1])
        x, one = example_input(plain), np.ones(1, np.float32)
        whole_ms: list[float] = []
        for _ in range(rounds + 1):
            whole_ms += [_time_ms(lambda: plain(x)) for _ in range(inferences)]
            for _ in range(inferences):
                profiled(x)
                idle(one)
        traces = [json.loads(Path(e.end_profiling()).read_text()) for e in (profiled, idle)]
    operators, idlers = (trace_times(trace, skip=inferences) for trace in traces)
    added_us = [_idle_us(idlers, inputs) for inputs in (FEW, MANY)]
    per_input_us = max(0.0, (added_us[1] - added_us[0]) / (MANY - FEW))
    return {
        "whole_ms": whole_ms[inferences:],
        "profiler_us": added_us[0],
        "operators": [
            {
                "name": name,
                "kind": traced.kind,
                "us": [us - added_us[0] - per_input_us * (traced.inputs - FEW) for us in traced.us],
            }
            for name, traced in operators.items()
        ],
    }


def _idle_us(idlers: Mapping[str, Traced], inputs: int) -> float:
    """Typical time of the operators that have so many inputs and nothing to do."""
    medians = [np.median(traced.us) for traced in idlers.values() if traced.inputs == inputs]
    return float(np.mean(medians)) if medians else 0.0


def trace_times(trace: Iterable[Mapping[str, Any]], skip: int = 0) -> dict[str, Traced]:
    """Reads a trace: what ran, by name.

    Args:
        trace: Its events.
        skip: So many first runs are left out.

    Raises:
        ModelError: No operator in it.
    """
    found: dict[str, Traced] = {}
    for event in trace:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            name, said = event["name"].removesuffix(_SUFFIX), event["args"]
            new = Traced(said["op_name"], len(said.get("input_type_shape", ())), [])
            found.setdefault(name, new).us.append(float(event["dur"]))
    if not found:
        raise ModelError("the trace of ONNX Runtime holds no operator")
    for traced in found.values():
        del traced.us[:skip]
    return found


def idle_model() -> bytes:
    """Writes an ``.onnx`` file without the onnx package.

    Returns:
        From one float32, ``COPIES`` operators of one input and as many of eight.
    """
    nodes, outputs = [], []
    for index in range(COPIES):
        few, many = f"few{index}", f"many{index}"
        nodes.append(_text(1, "x") + _text(2, few) + _text(3, few) + _text(4, "Neg"))
        axis = _field(5, _text(1, "axis") + _number(3, 0) + _ATTRIBUTE_IS_INT)
        inputs = _text(1, "x") * MANY
        nodes.append(inputs + _text(2, many) + _text(3, many) + _text(4, "Concat") + axis)
        outputs += [_value(few, 1), _value(many, MANY)]
    ends = [_field(11, _value("x", 1)), *(_field(12, output) for output in outputs)]
    graph = b"".join([*(_field(1, node) for node in nodes), _text(2, "idle"), *ends])
    return _number(1, 8) + _field(7, graph) + _field(8, _number(2, 13))


def _value(name: str, size: int) -> bytes:
    """A float32 tensor ``[size]`` of the graph's interface."""
    shape = _field(1, _number(1, size))
    return _text(1, name) + _field(2, _field(1, _number(1, 1) + _field(2, shape)))


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3, value])


def _text(field: int, text: str) -> bytes:
    return _field(field, text.encode())


def _field(field: int, message: bytes) -> bytes:
    """A protobuf field with its length."""
    size, length = len(message), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + message


def _time_ms(run: Callable[[], object]) -> float:
    started_at = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - started_at)
