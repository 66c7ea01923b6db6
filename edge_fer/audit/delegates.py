"""Which operators an accelerator would take, by what its makers publish; nothing is run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_fer.audit.model import CONVERSIONS, ModelGraph, Operator, place


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """What an accelerator's software takes over from the CPU.

    Attributes:
        name: As people call it.
        version: Of the software that the list is for.
        source: Where the list is from.
        format: Of the model files that it reads.
        kinds: Operators it takes, by the element type of the activations.
        stops: Whether nothing is taken behind the first operator that it refuses.
        symmetric: Whether zero points other than 0 are refused.
        hybrid: Of ``kinds``, those that it takes with integer weights and float activations.
    """

    name: str
    version: str
    source: str
    format: str
    kinds: Mapping[str, frozenset[str]]
    stops: bool = False
    symmetric: bool = False
    hybrid: frozenset[str] = frozenset()


_XNNPACK_INT8 = frozenset(
    {
        "ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
        "FULLY_CONNECTED", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD",
        "QUANTIZE", "REDUCE_MAX", "RESHAPE", "RESIZE_BILINEAR", "SLICE", "SPACE_TO_DEPTH", "SPLIT",
        "SUB", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
    }
)  # fmt: skip
_XNNPACK_FLOAT = (_XNNPACK_INT8 | frozenset(
    {
        "ABS", "AVERAGE_POOL_2D", "BATCH_MATMUL", "ELU", "GELU", "HARD_SWISH", "MAXIMUM", "MINIMUM",
        "RELU", "RELU6", "RSQRT", "SOFTMAX", "SQUARED_DIFFERENCE",
    }
))  # fmt: skip
_EDGE_TPU = frozenset(
    {
        "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "EXPAND_DIMS",
        "FULLY_CONNECTED", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN",
        "MINIMUM", "MUL", "PACK", "PAD", "PRELU", "QUANTIZE", "REDUCE_MAX", "REDUCE_MIN", "RELU",
        "RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT",
        "SLICE", "SOFTMAX", "SPACE_TO_DEPTH", "SPLIT", "SQUARED_DIFFERENCE", "SQUEEZE",
        "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    }
)  # fmt: skip
_TENSORRT_INT8 = frozenset(
    {
        "AveragePool", "Clip", "Concat", "Conv", "ConvTranspose", "Elu", "Gather", "Gemm",
        "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu",
        "MaxPool", "PRelu", "Pad", "Relu", "Reshape", "Selu", "Sigmoid", "Slice", "Softplus",
        "Softsign", "Squeeze", "Tanh", "Transpose", "Unsqueeze", "DequantizeLinear",
        "QuantizeLinear",
    }
)  # fmt: skip
_TENSORRT_FLOAT = (_TENSORRT_INT8 | frozenset(
    {
        "Add", "BatchNormalization", "Cast", "Div", "Erf", "Exp", "Flatten", "Log", "MatMul", "Max",
        "Mean", "Min", "Mul", "Neg", "Pow", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin",
        "ReduceSum", "Resize", "Softmax", "Split", "Sqrt", "Sub", "Sum", "Where",
    }
))  # fmt: skip

XNNPACK = Delegate(
    name="XNNPACK",
    version="LiteRT 2.3.0",
    source="asked LiteRT itself, on x86-64, with one operator at a time",
    format="tflite",
    kinds={"INT8": _XNNPACK_INT8, "FLOAT32": _XNNPACK_FLOAT},
    hybrid=frozenset({"CONV_2D", "FULLY_CONNECTED"}),
)
EDGE_TPU = Delegate(
    name="Coral Edge TPU",
    version="compiler 16, runtime 14",
    source="coral.ai/docs/edgetpu/models-intro, supported operations",
    format="tflite",
    kinds={"INT8": _EDGE_TPU, "UINT8": _EDGE_TPU},
    stops=True,
)
TENSORRT = Delegate(
    name="TensorRT",
    version="8.5",
    source="github.com/onnx/onnx-tensorrt, docs/operators.md",
    format="onnx",
    kinds={"INT8": _TENSORRT_INT8, "FLOAT32": _TENSORRT_FLOAT, "FLOAT16": _TENSORRT_FLOAT},
    symmetric=True,
)
DELEGATES = (XNNPACK, EDGE_TPU, TENSORRT)


def coverage(graph: ModelGraph) -> list[dict[str, Any]]:
    """Returns a record for each delegate that reads the file's format.

    ``operators`` of them and ``macs_share`` would be taken; ``first_break`` is the first operator
    that is not, and why, or None.
    """
    return [_covered(graph, one) for one in DELEGATES if one.format == graph.format]


def _covered(graph: ModelGraph, delegate: Delegate) -> dict[str, Any]:
    refused = [(one, why) for one in graph.operators if (why := _refusal(graph, one, delegate))]
    lost = {one.index for one, _ in refused}
    if refused and delegate.stops:
        lost = set(range(refused[0][0].index, len(graph.operators)))
    taken = [one for one in graph.operators if one.index not in lost]
    first = {**place(graph, refused[0][0]), "why": refused[0][1]} if refused else None
    return {
        "name": delegate.name,
        "version": delegate.version,
        "source": delegate.source,
        "operators": len(taken),
        "operators_total": len(graph.operators),
        "macs_share": sum(one.macs for one in taken) / graph.macs if graph.macs else None,
        "first_break": first,
    }


def _refusal(graph: ModelGraph, operator: Operator, delegate: Delegate) -> str:
    """Why a delegate does not take an operator; empty if it does."""
    types = graph.activation_types(operator)
    if operator.kind in CONVERSIONS:
        types = {dtype for dtype in types if dtype in delegate.kinds} or types
    for dtype in sorted(types):
        if dtype not in delegate.kinds:
            return f"{dtype} activations"
        if operator.kind not in delegate.kinds[dtype]:
            return f"no {operator.kind} in {dtype}"
    if graph.is_hybrid(operator) and operator.kind not in delegate.hybrid:
        return "integer weights with float activations"
    keys = (*operator.inputs, *operator.outputs)
    if delegate.symmetric and any(any(graph.tensors[key].zero_points) for key in keys):
        return "a zero point other than 0"
    return ""
