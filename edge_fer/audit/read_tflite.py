"""Reads a ``.tflite`` file for the audit; nothing of it is run."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edge_fer.audit.model import ModelGraph, Operator, Tensor
from edge_fer.errors import ModelError
from edge_fer.graph import summarise_tflite

_NUMPY = {
    "FLOAT32": np.float32, "FLOAT16": np.float16, "FLOAT64": np.float64, "INT8": np.int8,
    "UINT8": np.uint8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_,
}  # fmt: skip
_OPTIONS = (
    "padding", "strideH", "strideW", "dilationHFactor", "dilationWFactor", "filterHeight",
    "filterWidth",
)  # fmt: skip


def read_tflite(content: bytes, name: str) -> ModelGraph:
    """Reads the first subgraph of a ``.tflite`` file.

    Args:
        content: The whole file.
        name: What to call it in messages.

    Raises:
        ModelError: The bytes are not a whole TFLite model.
    """
    summary = summarise_tflite(content, name)
    from ai_edge_litert import schema_py_generated as schema

    try:
        reader = _Reader(schema.ModelT.InitFromPackedBuf(content), schema)
        return reader.read([operator.macs for operator in summary.operators])
    except Exception as error:  # damaged offsets make the generated reader fail in many ways
        raise ModelError(f"{name}: damaged or truncated TFLite model") from error


class _Reader:
    def __init__(self, model: Any, schema: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.types = _names(schema.TensorType)
        self.kinds = _names(schema.BuiltinOperator)
        self.activations = _names(schema.ActivationFunctionType)
        self.keys = _unique([_text(tensor.name) for tensor in self.graph.tensors])

    def read(self, macs: list[int]) -> ModelGraph:
        return ModelGraph(
            format="tflite",
            operators=tuple(self._operator(index, macs[index]) for index in range(len(macs))),
            tensors={key: self._tensor(index) for index, key in enumerate(self.keys)},
            inputs=tuple(self._key(index) for index in self.graph.inputs),
            outputs=tuple(self._key(index) for index in self.graph.outputs),
        )

    def _key(self, index: int) -> str:
        if not 0 <= index < len(self.keys):
            raise IndexError(f"no tensor {index}")
        return self.keys[index]

    def _operator(self, index: int, macs: int) -> Operator:
        operator = self.graph.operators[index]
        code = self.model.operatorCodes[operator.opcodeIndex]
        kind = self.kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if kind == "CUSTOM":
            kind = f"CUSTOM {_text(code.customCode)}"
        read = [int(i) for i in operator.inputs if i >= 0]
        options = operator.builtinOptions
        fused = self.activations.get(getattr(options, "fusedActivationFunction", 0), "NONE")
        return Operator(
            index=index,
            kind=kind,
            inputs=tuple(self._key(i) for i in read if not self._is_parameter(i)),
            outputs=tuple(self._key(i) for i in operator.outputs),
            parameters=tuple(self._key(i) for i in read if self._is_parameter(i)),
            macs=macs,
            activation="" if fused == "NONE" else fused,
            options={one: getattr(options, one) for one in _OPTIONS if hasattr(options, one)},
        )

    def _is_parameter(self, index: int) -> bool:
        """Constant integers without a scale are shapes, axes and paddings."""
        tensor = self.graph.tensors[index]
        plain = tensor.quantization is None or tensor.quantization.scale is None
        integer = self.types[tensor.type] in {"INT32", "INT64", "BOOL"}
        return integer and plain and self._is_constant(tensor)

    def _is_constant(self, tensor: Any) -> bool:
        buffer = self.model.buffers[tensor.buffer]
        return bool(buffer.offset) or (buffer.data is not None and len(buffer.data) > 0)

    def _tensor(self, index: int) -> Tensor:
        tensor = self.graph.tensors[index]
        dtype, shape = self.types[tensor.type], _shape(tensor)
        steps = tensor.quantization
        scales = () if steps is None or steps.scale is None else tuple(map(float, steps.scale))
        zeros = () if not scales or steps.zeroPoint is None else tuple(map(int, steps.zeroPoint))
        return Tensor(
            name=_text(tensor.name),
            dtype=dtype,
            shape=shape,
            scales=scales,
            zero_points=zeros,
            axis=int(steps.quantizedDimension) if scales else 0,
            values=self._values(tensor, dtype, shape),
            constant=self._is_constant(tensor),
        )

    def _values(self, tensor: Any, dtype: str, shape: tuple[int, ...]) -> np.ndarray | None:
        data = self.model.buffers[tensor.buffer].data
        if data is None or len(data) == 0 or dtype not in _NUMPY:
            return None
        values: np.ndarray = np.frombuffer(bytes(data), _NUMPY[dtype])
        return values.reshape(shape) if values.size == np.prod(shape, dtype=np.int64) else None


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(int(size) for size in tensor.shape)


def _text(name: bytes | str | None) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name or ""


def _unique(names: list[str]) -> list[str]:
    """Names, with the position behind those that come twice."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return [n if n and counts[n] == 1 else f"{n}#{i}" for i, n in enumerate(names)]


def _names(enumeration: type) -> Mapping[int, str]:
    return {v: k for k, v in vars(enumeration).items() if not k.startswith("_")}
