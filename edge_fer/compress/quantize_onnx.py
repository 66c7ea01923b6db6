"""Float ONNX to INT8 ONNX (QDQ form) with ONNX Runtime's quantizer, its ranges measured by us."""

import tempfile
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.compress.layers import Layer, layers_from
from edge_fer.compress.ranges import LEVELS, Activations, Method, Range, measure_ranges
from edge_fer.export.quiet import quiet
from edge_fer.preprocess import normalise, to_tensor_shape

APART = ":apart"
_WITH_WEIGHTS = {"Conv", "Gemm", "MatMul", "ConvTranspose"}


def quantize_onnx(content: bytes, images: np.ndarray, method: Method | None = None) -> bytes:
    """Quantizes weights (int8, per channel), activations, input and output (uint8).

    The quantization of input and output is stored in the file's metadata as ``scale,zero_point``
    under ``edge_fer.input`` and ``edge_fer.output``, since ONNX has no field for it.

    Args:
        content: Float ``.onnx`` with one input float32 ``[1, C, H, W]``.
        images: Calibration faces, uint8 ``[N, H, W]`` or ``[N, H, W, 3]``.
        method: How ranges are chosen; smallest and largest value if ``None``.
    """
    return StaticOnnx(content, images, method or Method()).quantize()


class StaticOnnx:
    """A calibrated float file; a ``StaticQuantizer``."""

    def __init__(self, content: bytes, images: np.ndarray, method: Method) -> None:
        """Measures the ranges; arguments as ``quantize_onnx``."""
        with quiet():
            self._prepared = _prepared(content)
            graph = self._prepared.graph
            self._ranges = measure_ranges(
                lambda: _activations(self._prepared, images),
                method,
                whole={graph.input[0].name, graph.output[0].name},
            )
            self.layers = _layers(graph)

    def quantize(self, kept: Collection[str] = ()) -> bytes:
        """Returns the quantized file; nodes named in ``kept`` stay in float."""
        with quiet():
            import onnx
            from onnxruntime.quantization import QuantType
            from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
            from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
            from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

            model = onnx.ModelProto()
            model.CopyFrom(self._prepared)
            quantizer = QDQQuantizer(
                model,
                True,  # per channel
                False,  # full range of the weights
                QuantType.QInt8,
                QuantType.QUInt8,
                TensorsData(CalibrationMethod.MinMax, _as_arrays(self._ranges)),
                [],
                list(kept),
                sorted({*QLinearOpsRegistry, *QDQRegistry}),
                {},
            )
            quantizer.quantize_model()
            quantizer.model.topological_sort()
            quantized = quantizer.model.model
            _quantize_ends(quantized, self._ranges, onnx)
            _keep_apart(quantized, self._prepared, kept, self._ranges, onnx)
            _make_io_integer(quantized, onnx)
            _share_constants(quantized.graph)
            _shorten_names(quantized.graph)
            return bytes(quantized.SerializeToString())


def dynamic_onnx(content: bytes) -> bytes:
    """Stores weights in uint8; activations are quantized while the file runs, range by range."""
    with quiet(), tempfile.TemporaryDirectory() as folder:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        source, quantized = Path(folder) / "f.onnx", Path(folder) / "q.onnx"
        onnx.save(_prepared(content), str(source))
        quantize_dynamic(str(source), str(quantized), weight_type=QuantType.QUInt8)
        return quantized.read_bytes()


def half_onnx(content: bytes) -> bytes:
    """Stores weights in float16, each with a Cast; engines compute in float32."""
    import onnx

    model = onnx.load_from_string(content)
    graph = model.graph
    casts = []
    for tensor in list(graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        name = tensor.name
        half = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}_half"))
        casts.append(
            onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT)
        )
    for cast in casts:
        graph.node.insert(0, cast)
    return bytes(model.SerializeToString())


def _prepared(content: bytes) -> Any:
    """The model with its shapes inferred and its batch norms folded."""
    with tempfile.TemporaryDirectory() as folder:
        from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
        from onnxruntime.quantization.shape_inference import quant_pre_process

        source, prepared = Path(folder) / "f.onnx", Path(folder) / "p.onnx"
        source.write_bytes(content)
        quant_pre_process(str(source), str(prepared))
        return load_model_with_shape_infer(prepared)


def _layers(graph: Any) -> tuple[Layer, ...]:
    constants = {tensor.name for tensor in graph.initializer}
    operators = []
    for node in graph.node:
        weights = [name for name in node.input[1:2] if name in constants]
        has_weights = node.op_type in _WITH_WEIGHTS and bool(weights)
        readable = f"{node.op_type} {weights[0].removesuffix('.weight') if has_weights else ''}"
        operators.append((node.name, readable.strip(), has_weights))
    return layers_from(operators)


def _activations(model: Any, images: np.ndarray) -> Iterator[Activations]:
    """Runs every face; gives the input and what every node makes of it, floats only."""
    import onnx
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    graph = watched.graph
    known = {output.name for output in graph.output}
    floats = [
        value
        for value in graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and value.name not in known
    ]
    produced = {name for node in graph.node for name in node.output}
    graph.output.extend(value for value in floats if value.name in produced)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in graph.output]
    source = graph.input[0]
    shape = tuple(size.dim_value for size in source.type.tensor_type.shape.dim)
    for image in images:
        x = to_tensor_shape(normalise(image), shape)
        values = session.run(names, {source.name: x})
        yield {source.name: x, **dict(zip(names, values, strict=True))}


def _keep_apart(
    model: Any, prepared: Any, kept: Collection[str], ranges: dict[str, Range], onnx: Any
) -> None:
    """Puts a Max that changes nothing before every layer with weights that stays in float.

    Without it ONNX Runtime finds a float layer between DequantizeLinear and QuantizeLinear when it
    loads the file, and quantizes its weights after all (its WeightBiasQuantization, pull request
    22969).
    """
    graph = model.graph
    sources = {node.name: node.input[0] for node in prepared.graph.node}
    restored = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    for index, node in reversed(list(enumerate(graph.node))):
        if node.name not in kept or node.op_type not in _WITH_WEIGHTS:
            continue
        if node.input[0] not in restored:
            continue
        low = np.array(min(ranges[sources[node.name]][0], 0.0) * 2, np.float32)
        lowest, apart = f"{node.name}_lowest", f"{node.name}_apart"
        graph.initializer.append(onnx.numpy_helper.from_array(low, lowest))
        name = f"{node.name}{APART}"
        maximum = onnx.helper.make_node("Max", [node.input[0], lowest], [apart], name=name)
        node.input[0] = apart
        graph.node.insert(index, maximum)


def _as_arrays(ranges: dict[str, Range]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        name: (np.array(low, np.float32), np.array(high, np.float32))
        for name, (low, high) in ranges.items()
    }


def _quantize_ends(model: Any, ranges: dict[str, Range], onnx: Any) -> None:
    """Adds Q and DQ at an end of the graph whose layer stays in float."""
    graph = model.graph
    source, result = graph.input[0].name, graph.output[0].name
    first = next(node for node in graph.node if source in node.input)
    last = next(node for node in graph.node if result in node.output)
    if first.op_type != "QuantizeLinear":
        pair = _pair(graph, source, f"{source}_restored", ranges[source], onnx)
        for node in graph.node:
            node.input[:] = [f"{source}_restored" if i == source else i for i in node.input]
        for node in reversed(pair):
            graph.node.insert(0, node)
    if last.op_type != "DequantizeLinear":
        inner = f"{result}_float"
        for node in graph.node:
            node.input[:] = [inner if name == result else name for name in node.input]
            node.output[:] = [inner if name == result else name for name in node.output]
        graph.node.extend(_pair(graph, inner, result, ranges[result], onnx))


def _pair(graph: Any, source: str, result: str, ends: Range, onnx: Any) -> list[Any]:
    """A QuantizeLinear and a DequantizeLinear, uint8, from ``source`` to ``result``."""
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    scale = np.array((high - low) / (LEVELS - 1) or 1.0, np.float32)
    zero_point = np.array(np.round(-low / scale), np.uint8)
    constants = [f"{result}_scale", f"{result}_zero_point"]
    for name, value in zip(constants, (scale, zero_point), strict=True):
        graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    inner = f"{result}_quantized"
    return [
        onnx.helper.make_node("QuantizeLinear", [source, *constants], [inner]),
        onnx.helper.make_node("DequantizeLinear", [inner, *constants], [result]),
    ]


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


def _share_constants(graph: Any) -> None:
    """Keeps one of each constant: every layer has its own zero points, most of them zeros."""
    first: dict[bytes, str] = {}
    shared: dict[str, str] = {}
    for tensor in list(graph.initializer):
        name, tensor.name = tensor.name, ""
        shared[name] = first.setdefault(tensor.SerializeToString(deterministic=True), name)
        tensor.name = name
        if shared[name] != name:
            graph.initializer.remove(tensor)
    for node in graph.node:
        node.input[:] = [shared.get(name, name) for name in node.input]


def _shorten_names(graph: Any) -> None:
    """Counts what the quantizer added instead of naming it: a tenth of a network of many layers.

    The layers' own names, by which a float file's layers are found again, stay.
    """
    steps = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    added = [tensor.name for tensor in graph.initializer]
    added += [node.output[0] for node in steps]
    layers = {name for node in graph.node for name in node.output} - set(added)
    seen_outside = {value.name for value in (*graph.input, *graph.output)}
    free = (name for name in map("{:x}".format, count()) if name not in layers | seen_outside)
    short = {name: next(free) for name in added if name not in seen_outside}
    for node in graph.node:
        node.input[:] = [short.get(name, name) for name in node.input]
        node.output[:] = [short.get(name, name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = short[tensor.name]
    for node in steps:
        node.name = ""
    del graph.value_info[:]
