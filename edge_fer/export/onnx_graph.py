"""What is inside an ``.onnx`` file: operators, types, parameters, MACs and memory."""

from collections.abc import Iterable
from math import prod
from typing import Any

from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.graph import GraphSummary, Operator, live_peak

_CONVOLUTIONS = {"Conv", "QLinearConv", "ConvInteger"}
_PRODUCTS = {"Gemm", "MatMul", "QLinearMatMul", "MatMulInteger", "QGemm"}
_ARITHMETIC = {"Add", "Sub", "Mul", "Div", "PRelu", "BatchNormalization"}
_WEIGHT_INDEX = {"QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3}
_DATA_INDICES = {"QLinearConv": (3, 8), "QLinearMatMul": (3,), "QGemm": (3, 6)}


def summarise_onnx(content: bytes, name: str) -> GraphSummary:
    """Summarises the bytes of an ``.onnx`` file; ``name`` is for messages.

    In the QDQ form a convolution between DequantizeLinear and QuantizeLinear counts as integer: its
    types are those of the quantized tensors around it, which is how engines run it.

    Raises:
        ModelError: The bytes are not a whole, static ONNX model.
        MissingExtraError: ``onnx`` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("Reading an ONNX graph", "quantize") from error
    try:
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        return _OnnxGraph(model, onnx).summary()
    except Exception as error:  # protobuf, checker and inference errors share no base
        raise ModelError(f"{name}: damaged or dynamic ONNX model ({error})") from error


class _OnnxGraph:
    """A model after shape inference."""

    def __init__(self, model: Any, onnx: Any) -> None:
        self.graph, self.onnx = model.graph, onnx
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        values = [*self.graph.input, *self.graph.value_info, *self.graph.output]
        self.values = {value.name: value.type.tensor_type for value in values}
        self.producer = {name: node for node in self.graph.node for name in node.output}
        self.consumers: dict[str, list[Any]] = {}
        for node in self.graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)

    def summary(self) -> GraphSummary:
        operators = tuple(self._operator(node) for node in self._computing())
        return GraphSummary(
            operators=operators,
            params=sum(prod(self.constants[name].dims) for name in self._parameter_names()),
            macs=sum(operator.macs for operator in operators),
            arena_bytes=live_peak(self._lifetimes()),
            input_type=self._stored_type(self.graph.input[0].name),
            output_type=self._stored_type(self.graph.output[0].name),
        )

    def _computing(self) -> list[Any]:
        """Nodes that compute: all but the Q and DQ that only annotate the node beside them."""
        return [
            n
            for n in self.graph.node
            if n.op_type not in {"QuantizeLinear", "DequantizeLinear"} and not self._restores(n)
        ]

    def _operator(self, node: Any) -> Operator:
        sources = [self._origin(name) for name in node.input if name]
        results = [self._destination(name) for name in node.output if name]
        return Operator(
            kind=node.op_type,
            input_types=tuple(self._stored_type(name) for name in sources),
            output_types=tuple(self._stored_type(name) for name in results),
            output_shape=self._shape(node.output[0]),
            macs=self._macs(node),
            name=node.name,
        )

    def _macs(self, node: Any) -> int:
        if node.op_type not in _CONVOLUTIONS | _PRODUCTS:
            return 0
        weight = self._shape(node.input[_WEIGHT_INDEX.get(node.op_type, 1)])
        outputs = prod(self._shape(node.output[0]))
        if node.op_type in _CONVOLUTIONS:
            return outputs * prod(weight[1:])
        return outputs * self._shape(node.input[0])[-1]

    def _parameter_names(self) -> set[str]:
        names = set()
        for node in self.graph.node:
            if node.op_type in _CONVOLUTIONS | _PRODUCTS | _ARITHMETIC:
                indices = _DATA_INDICES.get(node.op_type, range(len(node.input)))
                origins = {self._origin(node.input[i]) for i in indices if i < len(node.input)}
                names |= origins & set(self.constants)
        return names

    def _origin(self, name: str) -> str:
        """The stored tensor behind a DequantizeLinear or a constant's Cast, else the tensor."""
        node = self.producer.get(name)
        if node is None or not (node.op_type == "DequantizeLinear" or self._restores(node)):
            return name
        return str(node.input[0])

    def _restores(self, node: Any) -> bool:
        return node.op_type == "Cast" and node.input[0] in self.constants

    def _destination(self, name: str) -> str:
        """The quantized tensor after a QuantizeLinear, else the tensor itself."""
        for node in self.consumers.get(name, []):
            if node.op_type == "QuantizeLinear":
                return str(node.output[0])
        return name

    def _lifetimes(self) -> Iterable[tuple[int, int, int]]:
        nodes = self._computing()
        first, last = {self.graph.input[0].name: 0}, {self.graph.input[0].name: 0}
        for step, node in enumerate(nodes):
            for name in node.output:
                first[self._destination(name)] = last[self._destination(name)] = step
            for name in node.input:
                if self._origin(name) in first:
                    last[self._origin(name)] = step
        last[self._destination(self.graph.output[0].name)] = len(nodes)
        return [(first[n], last[n], prod(self._shape(n)) * self._itemsize(n)) for n in first]

    def _itemsize(self, name: str) -> int:
        dtype = self.onnx.helper.tensor_dtype_to_np_dtype(self.values[name].elem_type)
        return int(dtype.itemsize)

    def _stored_type(self, name: str) -> str:
        constant = self.constants.get(name)
        code = constant.data_type if constant is not None else self.values[name].elem_type
        name = str(self.onnx.TensorProto.DataType.Name(code))
        return {"FLOAT": "FLOAT32", "DOUBLE": "FLOAT64"}.get(name, name)

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in self.constants:
            return tuple(self.constants[name].dims)
        dimensions = self.values[name].shape.dim
        if not all(dimension.HasField("dim_value") for dimension in dimensions):
            raise ValueError(f"{name} has a dynamic shape")
        return tuple(dimension.dim_value for dimension in dimensions)
