"""Reads an ``.onnx`` file for the audit; nothing of it is run."""

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from edge_fer.audit.model import ModelGraph, Operator, Tensor
from edge_fer.errors import MissingExtraError, ModelError

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_CONVOLUTIONS = frozenset({"Conv", "QLinearConv", "ConvInteger"})
_PRODUCTS = frozenset({"Gemm", "MatMul", "QLinearMatMul", "MatMulInteger", "QGemm"})
#: Inputs that are no data: limits, shapes, axes, scales.
_PARAMETERS: Mapping[str, tuple[int, ...]] = {
    "Clip": (1, 2), "Resize": (1, 2, 3), "Upsample": (1,), "Pad": (1, 2, 3), "Reshape": (1,),
    "ReduceMean": (1,), "ReduceSum": (1,), "ReduceMax": (1,), "ReduceMin": (1,), "Squeeze": (1,),
    "Unsqueeze": (1,), "Slice": (1, 2, 3, 4), "Split": (1,), "Expand": (1,), "Tile": (1,),
    "Gather": (1,), "TopK": (1,), "QuantizeLinear": (1, 2), "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7), "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8), "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QLinearMul": (1, 2, 4, 5, 6, 7), "QLinearSoftmax": (1, 2, 3, 4),
    "QLinearGlobalAveragePool": (1, 2, 3, 4), "QLinearAveragePool": (1, 2, 3, 4),
    "QLinearLeakyRelu": (1, 2, 3, 4), "QLinearSigmoid": (1, 2, 3, 4),
    "ConvInteger": (2, 3), "MatMulInteger": (2, 3),
}  # fmt: skip
_TYPES = {"FLOAT": "FLOAT32", "DOUBLE": "FLOAT64"}


def read_onnx(content: bytes, name: str) -> ModelGraph:
    """Reads an ``.onnx`` file; a batch size that is left open is taken as 1.

    Args:
        content: The whole file, weights included.
        name: What to call it in messages.

    Raises:
        ModelError: The bytes are not a whole ONNX model.
        MissingExtraError: ``onnx`` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("Reading an ONNX graph", "quantize") from error
    try:
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
        close_batch(model)
        return _Reader(onnx.shape_inference.infer_shapes(model), onnx).read()
    except Exception as error:  # protobuf, checker and inference errors share no base
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(f"{name}: damaged or truncated ONNX model ({first_line})") from error


def close_batch(model: Any) -> None:
    """Sets an open batch size to 1, in place, and forgets the shapes that depended on it."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        sizes = value.type.tensor_type.shape.dim
        if value.name not in constants and sizes and not sizes[0].HasField("dim_value"):
            sizes[0].dim_value = 1
            del model.graph.value_info[:]
            for output in model.graph.output:
                output.type.tensor_type.ClearField("shape")


class _Reader:
    def __init__(self, model: Any, onnx: Any) -> None:
        self.graph, self.onnx = model.graph, onnx
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        for node in self.graph.node:
            for value in node.attribute if node.op_type == "Constant" else ():
                if value.name == "value":
                    self.constants[node.output[0]] = value.t
        values = (*self.graph.input, *self.graph.value_info, *self.graph.output)
        self.values = {value.name: value.type.tensor_type for value in values}
        self.producer = {name: node for node in self.graph.node for name in node.output}
        self.consumers: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        self.inputs = [v.name for v in self.graph.input if v.name not in self.constants]
        self.outputs = [value.name for value in self.graph.output]
        self.steps = self._quantization()
        self.steps |= _stated(model, (self.inputs[0], "input"), (self.outputs[0], "output"))

    def read(self) -> ModelGraph:
        nodes = [node for node in self.graph.node if self._computes(node)]
        operators = tuple(self._operator(index, node) for index, node in enumerate(nodes))
        names = [*self.inputs, *self.outputs]
        for one in operators:
            names += [*one.inputs, *one.outputs, *one.parameters]
        return ModelGraph(
            format="onnx",
            operators=operators,
            tensors={name: self._tensor(name) for name in dict.fromkeys(names)},
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
        )

    def _computes(self, node: Any) -> bool:
        """Not a constant, nor a Q or DQ that only says how a tensor beside it is stored."""
        if node.op_type == DEQUANTIZE:
            return node.output[0] in self.outputs
        if node.op_type == QUANTIZE:
            return not (node.input[0] in self.constants or self._stored(node.input[0]))
        return bool(node.op_type != "Constant")

    def _stored(self, name: str) -> str:
        """The integer tensor that a result goes into, if nothing reads the result itself."""
        producer, consumers = self.producer.get(name), self.consumers.get(name, [])
        if producer is None or producer.op_type == DEQUANTIZE or name in self.outputs:
            return ""
        if not consumers or any(node.op_type != QUANTIZE for node in consumers):
            return ""
        return str(consumers[0].output[0])

    def _origin(self, name: str) -> str:
        """The integer tensor behind a DequantizeLinear, else the tensor itself."""
        node = self.producer.get(name)
        return str(node.input[0]) if node is not None and node.op_type == DEQUANTIZE else name

    def _operator(self, index: int, node: Any) -> Operator:
        aside = _PARAMETERS.get(node.op_type, ())
        named = [(i, name) for i, name in enumerate(node.input) if name]
        conversion = node.op_type == DEQUANTIZE
        return Operator(
            index=index,
            kind=node.op_type,
            inputs=tuple(
                name if conversion else self._origin(name) for i, name in named if i not in aside
            ),
            outputs=tuple(self._stored(name) or name for name in node.output if name),
            parameters=tuple(name for i, name in named if i in aside),
            macs=self._macs(node),
            options={a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute},
        )

    def _macs(self, node: Any) -> int:
        if node.op_type not in _CONVOLUTIONS | _PRODUCTS:
            return 0
        weight_at = 3 if 3 in range(len(node.input)) and node.op_type.startswith("Q") else 1
        weight = self._shape(self._origin(node.input[weight_at]))
        outputs = prod(self._shape(node.output[0]) or (0,))
        if node.op_type in _CONVOLUTIONS:
            return outputs * prod(weight[1:])
        return outputs * (self._shape(node.input[0]) or (0,))[-1]

    def _quantization(self) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
        """Scale, zero point and axis of each integer tensor that a Q, DQ or QLinear node names."""
        found = {}
        for node in self.graph.node:
            for name, scale, zero in _named_steps(node):
                if scale in self.constants:
                    scales = self._array(scale)
                    zeros = self._array(zero) if zero in self.constants else np.zeros_like(scales)
                    axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
                    found[name] = (scales.reshape(-1), zeros.reshape(-1), axis)
        return found

    def _tensor(self, name: str) -> Tensor:
        scales, zeros, axis = self.steps.get(name, (np.empty(0), np.empty(0), 0))
        constant = name in self.constants
        node = self.producer.get(name)
        source = node.input[0] if node is not None and node.op_type == QUANTIZE else ""
        return Tensor(
            name=name,
            dtype=self._type(name),
            shape=self._shape(name),
            scales=tuple(float(scale) for scale in scales),
            zero_points=tuple(int(zero) for zero in zeros),
            axis=axis,
            values=self._array(name) if constant else None,
            constant=constant or source in self.constants,
            source=str(source),
        )

    def _array(self, name: str) -> np.ndarray:
        return np.asarray(self.onnx.numpy_helper.to_array(self.constants[name]))

    def _type(self, name: str) -> str:
        constant, value = self.constants.get(name), self.values.get(name)
        if constant is not None:
            code = constant.data_type
        elif value is not None:
            code = value.elem_type
        else:
            return "UNKNOWN"
        text = str(self.onnx.TensorProto.DataType.Name(code))
        return _TYPES.get(text, text)

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in self.constants:
            return tuple(self.constants[name].dims)
        if name not in self.values:
            return ()
        return tuple(size.dim_value for size in self.values[name].shape.dim)


def _named_steps(node: Any) -> Iterable[tuple[str, str, str]]:
    """``(tensor, scale, zero point)`` names that a node states."""
    names = list(node.input)
    if node.op_type == DEQUANTIZE and len(names) > 1:
        yield names[0], names[1], (names[2] if len(names) > 2 else "")
    elif node.op_type == QUANTIZE and len(names) > 1:
        yield node.output[0], names[1], (names[2] if len(names) > 2 else "")
    elif node.op_type in {"QLinearConv", "QLinearMatMul"} and len(names) > 7:
        yield from ((names[i], names[i + 1], names[i + 2]) for i in (0, 3))
        yield node.output[0], names[6], names[7]


def _stated(model: Any, *ends: tuple[str, str]) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """Quantization of integer inputs and outputs from the metadata that edge-fer writes."""
    notes = {entry.key: entry.value for entry in model.metadata_props}
    found = {}
    for name, end in ends:
        parts = notes.get(f"edge_fer.{end}", "").split(",")
        if len(parts) == 2:
            found[name] = (np.array([float(parts[0])]), np.array([int(parts[1])]), 0)
    return found
