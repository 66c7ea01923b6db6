"""Float ONNX to INT8 ONNX (QDQ form), by static min/max calibration with ONNX Runtime."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.export.quiet import quiet
from edge_fer.preprocess import normalise, to_tensor_shape


def quantize_onnx(content: bytes, images: np.ndarray) -> bytes:
    """Quantizes weights (int8, per channel), activations, input and output (uint8).

    The quantization of input and output is stored in the file's metadata as ``scale,zero_point``
    under ``edge_fer.input`` and ``edge_fer.output``, since ONNX has no field for it.

    Args:
        content: Float ``.onnx`` with one input float32 ``[1, C, H, W]``.
        images: Calibration faces, uint8 ``[N, H, W]`` or ``[N, H, W, 3]``.
    """
    with quiet(), tempfile.TemporaryDirectory() as folder:
        import onnx
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        source, prepared, quantized = (Path(folder) / f"{name}.onnx" for name in "fpq")
        source.write_bytes(content)
        quant_pre_process(str(source), str(prepared))
        source_value = onnx.load(str(prepared)).graph.input[0]
        quantize_static(
            str(prepared),
            str(quantized),
            _reader(images, source_value),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
        model = onnx.load(str(quantized))
        _make_io_integer(model, onnx)
        return bytes(model.SerializeToString())


def _reader(images: np.ndarray, source_value: Any) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    name = source_value.name
    shape = tuple(size.dim_value for size in source_value.type.tensor_type.shape.dim)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.samples: Iterator[np.ndarray] = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.samples, None)
            return None if image is None else {name: to_tensor_shape(normalise(image), shape)}

    return Reader()


def _make_io_integer(model: Any, onnx: Any) -> None:
    """Removes the QuantizeLinear at the input and the DequantizeLinear at the output."""
    graph = model.graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    first = next(node for node in graph.node if node.input[0] == graph.input[0].name)
    last = next(node for node in graph.node if graph.output[0].name in node.output)
    assert (first.op_type, last.op_type) == ("QuantizeLinear", "DequantizeLinear")
    for value, node, inner in (
        (graph.input[0], first, first.output[0]),
        (graph.output[0], last, last.input[0]),
    ):
        scale, zero_point = constants[node.input[1]], constants[node.input[2]]
        entry = model.metadata_props.add()
        entry.key = "edge_fer.input" if node is first else "edge_fer.output"
        entry.value = f"{float(scale)!r},{int(zero_point)}"
        value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(zero_point.dtype)
        _rename(graph, inner, value.name, removed=node)
    graph.node.remove(first)
    graph.node.remove(last)


def _rename(graph: Any, old: str, new: str, *, removed: Any) -> None:
    """Connects what used ``old`` to ``new``, the name that outsiders see."""
    for node in graph.node:
        if node is not removed:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
