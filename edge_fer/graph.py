"""What is inside a ``.tflite`` file: operators, types, parameters, MACs and memory.

Read from the flatbuffer's schema, which comes with LiteRT; nothing is run.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from edge_fer.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of a graph.

    Attributes:
        kind: Name in the format's own words, e.g. ``CONV_2D`` or ``QLinearConv``.
        input_types: Element types of its inputs, e.g. ``INT8``.
        output_types: Element types of its outputs.
        output_shape: Of its first output.
        macs: Multiply-accumulates of one inference.
        name: What the file calls it: in TFLite its output tensors, joined by ``;``.
    """

    kind: str
    input_types: tuple[str, ...]
    output_types: tuple[str, ...]
    output_shape: tuple[int, ...]
    macs: int
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class GraphSummary:
    """What a model file holds.

    Attributes:
        operators: In execution order.
        params: Stored weights and biases; batch norms are folded, so this is below the network's
            total.
        macs: Multiply-accumulates of one inference.
        arena_bytes: Largest sum of activation tensors that are alive at once: what a planner that
            reuses memory perfectly needs.
        input_type: Element type of the input.
        output_type: Element type of the output.
    """

    operators: tuple[Operator, ...]
    params: int
    macs: int
    arena_bytes: int
    input_type: str
    output_type: str


def summarise_tflite(content: bytes, name: str) -> GraphSummary:
    """Summarises the bytes of a ``.tflite`` file.

    Args:
        content: The whole file.
        name: What to call it in messages.

    Raises:
        ModelError: The bytes are not a whole TFLite model.
    """
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        raise ModelError(f"{name}: not a TFLite model")
    try:
        model = schema.ModelT.InitFromPackedBuf(content)
        if any(buffer.offset + buffer.size > len(content) for buffer in model.buffers):
            raise ValueError("weights lie behind the end of the file")
        return _TfliteGraph(model, schema).summary()
    except (struct.error, IndexError, TypeError, AttributeError, ValueError, KeyError) as error:
        raise ModelError(f"{name}: damaged or truncated TFLite model") from error


def live_peak(lifetimes: Iterable[tuple[int, int, int]]) -> int:
    """Largest sum of sizes alive at one step.

    Args:
        lifetimes: ``(first_step, last_step, size)`` of each tensor, steps inclusive.
    """
    changes: dict[int, int] = {}
    for first, last, size in lifetimes:
        changes[first] = changes.get(first, 0) + size
        changes[last + 1] = changes.get(last + 1, 0) - size
    alive = peak = 0
    for step in sorted(changes):
        alive += changes[step]
        peak = max(peak, alive)
    return peak


_BYTES = {
    "FLOAT64": 8, "INT64": 8, "FLOAT32": 4, "INT32": 4, "UINT32": 4,
    "FLOAT16": 2, "BFLOAT16": 2, "INT16": 2, "INT8": 1, "UINT8": 1, "BOOL": 1,
}  # fmt: skip
_WITH_PARAMETERS = {
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "BATCH_MATMUL", "TRANSPOSE_CONV",
    "ADD", "SUB", "MUL", "DIV", "PRELU",
}  # fmt: skip


class _TfliteGraph:
    """The first subgraph of an unpacked model."""

    def __init__(self, model: Any, schema: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.type_names = _names(schema.TensorType)
        self.kind_names = _names(schema.BuiltinOperator)

    def summary(self) -> GraphSummary:
        operators = tuple(self._operator(operator) for operator in self.graph.operators)
        return GraphSummary(
            operators=operators,
            params=sum(self._parameters.values()),
            macs=sum(operator.macs for operator in operators),
            arena_bytes=live_peak(self._lifetimes()),
            input_type=self._type(self.graph.inputs[0]),
            output_type=self._type(self.graph.outputs[0]),
        )

    def _operator(self, operator: Any) -> Operator:
        kind = self._kind(operator)
        output_shape = self._shape(operator.outputs[0])
        return Operator(
            kind=kind,
            input_types=tuple(self._type(i) for i in operator.inputs if i >= 0),
            output_types=tuple(self._type(i) for i in operator.outputs),
            output_shape=output_shape,
            macs=self._macs(kind, operator, output_shape),
            name=";".join(self.graph.tensors[i].name.decode() for i in operator.outputs),
        )

    def _macs(self, kind: str, operator: Any, output_shape: tuple[int, ...]) -> int:
        if kind == "CONV_2D" or kind == "FULLY_CONNECTED":
            return prod(output_shape) * prod(self._shape(operator.inputs[1])[1:])
        if kind == "DEPTHWISE_CONV_2D":
            return prod(output_shape) * prod(self._shape(operator.inputs[1])[1:3])
        if kind == "BATCH_MATMUL":
            left = self._shape(operator.inputs[0])
            return prod(output_shape) * left[-2 if operator.builtinOptions.adjX else -1]
        if kind == "TRANSPOSE_CONV":
            return prod(self._shape(operator.inputs[2])) * prod(self._shape(operator.inputs[1])[:3])
        return 0

    @cached_property
    def _parameters(self) -> dict[int, int]:
        """Number of values of each constant that an operator with parameters reads."""
        return {
            index: prod(self._shape(index))
            for operator in self.graph.operators
            if self._kind(operator) in _WITH_PARAMETERS
            for index in map(self._stored, operator.inputs)
            if index >= 0 and self._is_constant(index)
        }

    @cached_property
    def _restored(self) -> dict[int, int]:
        """For each tensor that a DEQUANTIZE makes of a constant, the constant."""
        return {
            int(operator.outputs[0]): int(operator.inputs[0])
            for operator in self.graph.operators
            if self._kind(operator) == "DEQUANTIZE" and self._is_constant(operator.inputs[0])
        }

    def _stored(self, index: int) -> int:
        return self._restored.get(int(index), int(index))

    def _lifetimes(self) -> Iterable[tuple[int, int, int]]:
        first = {int(index): 0 for index in self.graph.inputs}
        last = dict.fromkeys(first, 0)
        for step, operator in enumerate(self.graph.operators):
            for index in operator.outputs:
                first[int(index)] = last[int(index)] = step
            for index in operator.inputs:
                if int(index) in first:
                    last[int(index)] = step
        last.update({int(index): len(self.graph.operators) for index in self.graph.outputs})
        return [(first[i], last[i], prod(self._shape(i)) * _BYTES[self._type(i)]) for i in first]

    def _is_constant(self, index: int) -> bool:
        buffer = self.model.buffers[self.graph.tensors[index].buffer]
        return bool(buffer.offset) or (buffer.data is not None and len(buffer.data) > 0)

    def _kind(self, operator: Any) -> str:
        code = self.model.operatorCodes[operator.opcodeIndex]
        return self.kind_names[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def _shape(self, index: int) -> tuple[int, ...]:
        shape = self.graph.tensors[index].shape
        return () if shape is None else tuple(int(size) for size in shape)

    def _type(self, index: int) -> str:
        return self.type_names[self.graph.tensors[index].type]


def _names(enumeration: type) -> Mapping[int, str]:
    return {v: k for k, v in vars(enumeration).items() if not k.startswith("_")}
