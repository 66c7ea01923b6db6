"""A model file as the audit sees it: operators, tensors and how they are quantized.

Both formats come down to the same records. In the QDQ form of ONNX a DequantizeLinear before an
operator and a QuantizeLinear behind it only say how the tensors in between are stored, so they are
no operators here: the operator reads and writes the integer tensors, which is how engines run it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

FLOATS = frozenset({"FLOAT16", "BFLOAT16", "FLOAT32", "FLOAT64"})
NARROW = frozenset({"INT2", "INT4", "UINT4", "INT8", "UINT8", "INT16", "UINT16"})
QUANTIZE = frozenset({"QUANTIZE", "QuantizeLinear", "DynamicQuantizeLinear"})
DEQUANTIZE = frozenset({"DEQUANTIZE", "DequantizeLinear"})
CONVERSIONS = QUANTIZE | DEQUANTIZE
#: Operators of ONNX that quantize activations anew for each input.
_DYNAMIC = frozenset({"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"})


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor of a graph.

    Attributes:
        name: In the file.
        dtype: ``INT8``, ``FLOAT32`` and so on.
        shape: Static; empty if unknown.
        scales: Real value of one step, one or one per channel; empty if it is not quantized.
        zero_points: As many as ``scales``.
        axis: Of the channels of ``scales``.
        values: Of a constant, in its stored type; None if it is none, or cannot be read.
        constant: Whether its value is in the file.
        source: Name of the float tensor that was quantized into it, if the file tells.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()
    axis: int = 0
    values: np.ndarray | None = field(default=None, repr=False)
    constant: bool = False
    source: str = ""

    @property
    def is_float(self) -> bool:
        """Whether it holds floating-point numbers."""
        return self.dtype in FLOATS


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator; tensors are named by their key in ``ModelGraph.tensors``.

    Attributes:
        index: Position in the order of execution.
        kind: Name in the format's own words.
        inputs: Tensors it computes with; shapes, axes and limits left out.
        outputs: Tensors it gives.
        parameters: Further inputs: shapes, axes, limits.
        macs: Multiply-accumulates of one inference.
        activation: Fused into it, e.g. ``RELU``; else empty.
        options: Of the operator, by name, as the format has them.
    """

    index: int
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    macs: int = 0
    activation: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelGraph:
    """A whole model.

    Attributes:
        format: ``tflite`` or ``onnx``.
        operators: In execution order.
        tensors: By key.
        inputs: Keys of the model's inputs.
        outputs: Keys of the model's outputs.
    """

    format: str
    operators: tuple[Operator, ...]
    tensors: Mapping[str, Tensor] = field(repr=False)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @cached_property
    def producers(self) -> Mapping[str, Operator]:
        """The operator that gives a tensor."""
        return {key: operator for operator in self.operators for key in operator.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Operator, ...]]:
        """The operators that compute with a tensor."""
        found: dict[str, tuple[Operator, ...]] = {}
        for operator in self.operators:
            for key in dict.fromkeys(operator.inputs):
                found[key] = (*found.get(key, ()), operator)
        return found

    @property
    def macs(self) -> int:
        """Of one inference."""
        return sum(operator.macs for operator in self.operators)

    def before(self, operator: Operator) -> list[Operator]:
        """The operators whose results it reads."""
        return [self.producers[key] for key in operator.inputs if key in self.producers]

    def after(self, operator: Operator) -> list[Operator]:
        """The operators that read its results."""
        return [one for key in operator.outputs for one in self.consumers.get(key, ())]

    def types(self, operator: Operator) -> set[str]:
        """Element types it computes with."""
        return {self.tensors[key].dtype for key in (*operator.inputs, *operator.outputs)}

    def activation_types(self, operator: Operator) -> set[str]:
        """Element types of its results and of what it reads that is no constant."""
        keys = [key for key in operator.inputs if not self.tensors[key].constant]
        return {self.tensors[key].dtype for key in (*keys, *operator.outputs)}

    def is_float(self, operator: Operator) -> bool:
        """Whether it computes with floating-point numbers; conversions do not compute."""
        return operator.kind not in CONVERSIONS and bool(FLOATS & self.types(operator))

    def weight(self, operator: Operator) -> Tensor | None:
        """The constant it multiplies with, of those that have MACs."""
        if not operator.macs:
            return None
        constants = [self.tensors[key] for key in operator.inputs if self.tensors[key].constant]
        return next((one for one in constants if len(one.shape) > 1), None)

    def is_hybrid(self, operator: Operator) -> bool:
        """Whether its weights are integers and its activations are not: dynamic range."""
        weight = self.weight(operator)
        narrow = weight is not None and weight.dtype in NARROW
        return narrow and bool(FLOATS & self.activation_types(operator))

    @property
    def is_dynamic(self) -> bool:
        """Whether activations are quantized anew for each input, as ONNX can."""
        return any(one.kind in _DYNAMIC for one in self.operators)

    @property
    def is_quantized(self) -> bool:
        """Whether anything in it is stored in few bits."""
        stored = any(one.scales and one.dtype in NARROW for one in self.tensors.values())
        return stored or self.is_dynamic


def place(graph: ModelGraph, operator: Operator) -> dict[str, Any]:
    """Says where an operator is, for a report."""
    tensor = graph.tensors[operator.outputs[0]].name if operator.outputs else ""
    return {"index": operator.index, "kind": operator.kind, "tensor": tensor}
