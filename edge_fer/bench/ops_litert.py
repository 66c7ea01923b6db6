"""LiteRT's profiler, which sees inside XNNPACK, through the C interface of ``libLiteRt``.

The Python interface has no way to it, so the library is called directly, in a process of its own:
a library that does not match then ends that process, not this one.
"""

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.errors import ModelError

_PROGRAM = f"""
import sys
sys.path[0] = {str(Path(__file__).parents[2])!r}
from edge_fer.bench.ops_litert import main
main()
"""
_CPU = 1
_WRITE = 1
_ELEMENT_TYPES = {"float32": 1, "uint8": 3, "int8": 9}
#: Operators in the interpreter, and two ways in which a delegate tells of its own.
_OPERATOR_EVENTS = {2, 4, 8}
_MOST_US = 60_000_000


def litert_operators(
    content: bytes, threads: int, *, rounds: int, inferences: int
) -> dict[str, Any]:
    """Profiles a ``.tflite`` file in a new process.

    Args:
        content: The file.
        threads: Of one inference.
        rounds: Alternations between profiled and plain inferences, after one that is not counted.
        inferences: Of each kind in a round.

    Returns:
        ``operators``: ``name``, ``kind`` and ``us`` of every inference; ``whole_ms`` of each plain
        inference.

    Raises:
        ModelError: This LiteRT has no such profiler, or it is not as expected.
    """
    if threads != 1:
        raise ModelError("LiteRT's profiler is read at one thread only")
    arguments = [str(number) for number in (threads, rounds, inferences)]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        input=content,
        capture_output=True,
        check=False,
    )
    lines = done.stdout.decode(errors="replace").splitlines()
    if done.returncode or not lines:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it crashed"]
        raise ModelError(f"LiteRT's profiler does not answer ({said[-1]})")
    answer: dict[str, Any] = json.loads(lines[-1])
    return answer


def main() -> None:
    """In the child: ``THREADS ROUNDS INFERENCES``, the model on standard input."""
    threads, rounds, inferences = map(int, sys.argv[1:])
    answer = _profile(sys.stdin.buffer.read(), threads, rounds, inferences)
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _profile(content: bytes, threads: int, rounds: int, inferences: int) -> dict[str, Any]:
    model = _CompiledModel(content, threads)
    whole_ms: list[float] = []
    events: list[tuple[int, str, float]] = []
    for number in range(rounds + 1):
        times_ms = [model.run_ms() for _ in range(inferences)]
        seen = model.profiled(inferences)
        if number:
            whole_ms += times_ms
            events += seen
    operators: dict[tuple[int, str], list[float]] = {}
    for index, kind, us in events:
        operators.setdefault((index, kind), []).append(us)
    return {
        "whole_ms": whole_ms,
        "operators": [
            {"name": f"{index} {kind}", "kind": kind, "us": us}
            for (index, kind), us in operators.items()
        ],
    }


class _Layout(ctypes.Structure):
    _fields_ = (
        ("rank", ctypes.c_uint32),
        ("dimensions", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    )


class _TensorType(ctypes.Structure):
    _fields_ = (("element_type", ctypes.c_int), ("layout", _Layout))


class _Event(ctypes.Structure):
    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("event_type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_int64 * 6),
        ("index", ctypes.c_uint64),
        ("metadata", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


class _CompiledModel:
    """A model compiled for the CPU with its profiler; lives as long as the process."""

    def __init__(self, content: bytes, threads: int) -> None:
        import ai_edge_litert

        from edge_fer.runtime.engines import load_engine

        folder = Path(next(iter(ai_edge_litert.__path__)))
        self._library = ctypes.CDLL(str(folder / "libLiteRt.so"))
        self._content = content
        tensors = load_engine("litert", content, "model")
        self._environment = self._made("CreateEnvironment", ctypes.c_int(0), None)
        size = ctypes.c_size_t(len(content))
        model = self._made("CreateModelFromBuffer", self._environment, content, size)
        options = self._options(threads)
        self._model = self._made("CreateCompiledModel", self._environment, model, options)
        self._profiler = self._made("CompiledModelGetProfiler", self._model)
        source, result = tensors.input, tensors.output
        self._input = self._buffer("Input", source.shape, source.dtype)
        self._output = self._buffer("Output", result.shape, result.dtype)
        self._fill(np.random.default_rng(0).integers(0, 127, source.shape).astype(source.dtype))

    def run_ms(self) -> float:
        """Runs one inference."""
        one = ctypes.c_size_t(1)
        inputs = (ctypes.c_void_p * 1)(self._input)
        outputs = (ctypes.c_void_p * 1)(self._output)
        started_at = time.perf_counter()
        self._call("RunCompiledModel", self._model, ctypes.c_size_t(0), one, inputs, one, outputs)
        return 1e3 * (time.perf_counter() - started_at)

    def profiled(self, inferences: int) -> list[tuple[int, str, float]]:
        """Runs under the profiler; returns index, kind and microseconds of each operator's run."""
        self._call("ResetProfiler", self._profiler)
        self._call("StartProfiler", self._profiler)
        for _ in range(inferences):
            self.run_ms()
        self._call("StopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("GetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self._call("GetProfilerEvents", self._profiler, count, events)
        return [
            (event.index, _checked_kind(event), float(event.elapsed_us))
            for event in events
            if event.event_type in _OPERATOR_EVENTS and not _is_delegate(event)
        ]

    def _options(self, threads: int) -> ctypes.c_void_p:
        options = self._made("CreateOptions")
        self._call("SetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
        settings = {
            b"runtime_options_string": b"enable_profiling = true\n",
            b"xnnpack": f"num_threads = {threads}\n".encode(),
        }
        self._keep: list[Any] = [ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda _: None)]
        for identifier, text in settings.items():
            payload = ctypes.create_string_buffer(text)
            self._keep.append(payload)
            opaque = self._made("CreateOpaqueOptions", identifier, payload, self._keep[0])
            self._call("AddOpaqueOptions", options, opaque)
        return options

    def _buffer(self, kind: str, shape: Sequence[int], dtype: str) -> ctypes.c_void_p:
        zero = ctypes.c_size_t(0)
        needs = self._made(f"GetCompiledModel{kind}BufferRequirements", self._model, zero, zero)
        layout = _Layout(rank=len(shape), dimensions=(ctypes.c_int32 * 8)(*shape))
        kind_of = _TensorType(element_type=_ELEMENT_TYPES[dtype], layout=layout)
        made = "CreateManagedTensorBufferFromRequirements"
        return self._made(made, self._environment, ctypes.byref(kind_of), needs)

    def _fill(self, x: np.ndarray) -> None:
        address = ctypes.c_void_p()
        arguments = self._input, ctypes.byref(address), ctypes.c_int(_WRITE)
        self._call("LockTensorBuffer", *arguments)
        ctypes.memmove(address, x.tobytes(), x.nbytes)
        self._call("UnlockTensorBuffer", self._input)

    def _made(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        self._call(name, *arguments, ctypes.byref(handle))
        return handle

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, f"LiteRt{name}")
        function.restype = ctypes.c_int
        status = function(*arguments)
        if status:
            raise ModelError(f"LiteRt{name} gives status {status}")


def _checked_kind(event: _Event) -> str:
    if not event.tag or event.elapsed_us > _MOST_US:
        raise ModelError("the profiler's events are not laid out as expected")
    return str(event.tag.decode()).removeprefix("Delegate/")


def _is_delegate(event: _Event) -> bool:
    """The event of a whole delegate, whose operators have events of their own."""
    return bool(event.tag) and b"Delegate" in event.tag and b"/" not in event.tag
