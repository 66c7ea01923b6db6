"""Float ``.onnx`` files, whoever made them.

There is no TFLite from ONNX: the one converter, onnx2tf, needs Python 3.12 and what it makes
quantizes poorly.
"""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.compress.description import Description
from edge_fer.compress.foreign_model import ForeignModel, no_softmax
from edge_fer.errors import ModelError
from edge_fer.export.onnx import make_quantizable
from edge_fer.export.quiet import quiet

#: Per-channel weights need this version of ONNX's operators.
LEAST_OPSET = 13


def open_onnx(path: Path, description: Description) -> ForeignModel:
    """Reads an ``.onnx`` file and gives it our input and output.

    Raises:
        ModelError: The file cannot be read, is quantized already, or is no classifier of faces.
    """
    import onnx

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        with quiet():
            model = onnx.load_from_string(content)
            onnx.checker.check_model(model)
            model = _recent(model, onnx)
    except Exception as error:  # protobuf and checker errors share no base
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: not a readable ONNX model ({first_line})") from error
    _require_float(model, path)
    _fix_input(model, description, path)
    if description.output == "probabilities":
        _take_softmax_off(model, path)
    if not description.is_ours:
        _insert_scaling(model, description, onnx)
    make_quantizable(model)
    return ForeignModel(
        floats={"onnx": bytes(model.SerializeToString())},
        scores=lambda images: _scores(content, description.values(images), path),
        params=sum(
            prod(one.dims) for one in model.graph.initializer if one.data_type == _float32(onnx)
        ),
    )


def _recent(model: Any, onnx: Any) -> Any:
    opset = max(
        (one.version for one in model.opset_import if one.domain in {"", "ai.onnx"}), default=0
    )
    return (
        model
        if opset >= LEAST_OPSET
        else onnx.version_converter.convert_version(model, LEAST_OPSET)
    )


def _float32(onnx: Any) -> int:
    return int(onnx.TensorProto.FLOAT)


def _require_float(model: Any, path: Path) -> None:
    integer = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger"}
    found = integer & {node.op_type for node in model.graph.node}
    if found:
        raise ModelError(f"{path}: is quantized already ({', '.join(sorted(found))})")
    if any(one.external_data for one in model.graph.initializer):
        raise ModelError(f"{path}: its weights are in another file; save them in one")


def _fix_input(model: Any, description: Description, path: Path) -> None:
    """Leaves one input of the described shape; an open batch becomes 1."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    for value in [value for value in graph.input if value.name in constants]:
        graph.input.remove(value)
    if len(graph.input) != 1 or len(graph.output) != 1:
        raise ModelError(f"{path}: needs one input and one output")
    sizes = graph.input[0].type.tensor_type.shape.dim
    found = [size.dim_value or None for size in sizes]
    wanted = description.input_shape
    if len(found) != 4 or any(f not in {None, w} for f, w in zip(found, wanted, strict=True)):
        raise ModelError(f"{path}: takes {found}, not {list(wanted)} as described")
    if None in found:
        del graph.value_info[:]
        graph.output[0].type.tensor_type.ClearField("shape")
        for size, value in zip(sizes, wanted, strict=True):
            size.dim_value = value
        for value in (1, len(description.labels)):
            graph.output[0].type.tensor_type.shape.dim.add().dim_value = value


def _take_softmax_off(model: Any, path: Path) -> None:
    graph = model.graph
    result = graph.output[0].name
    last = next((node for node in graph.node if result in node.output), None)
    if last is None or last.op_type != "Softmax":
        raise no_softmax(str(path))
    logits = last.input[0]
    graph.node.remove(last)
    for node in graph.node:
        node.input[:] = [result if name == logits else name for name in node.input]
        node.output[:] = [result if name == logits else name for name in node.output]


def _insert_scaling(model: Any, description: Description, onnx: Any) -> None:
    """Puts ``x * gain + shift`` behind the input."""
    graph = model.graph
    name = graph.input[0].name
    shape = (1, -1, 1, 1) if description.layout == "NCHW" else (1, 1, 1, -1)
    scaled, shifted = f"{name}_scaled", f"{name}_shifted"
    for node in graph.node:
        node.input[:] = [shifted if one == name else one for one in node.input]
    for suffix, values in (("gain", description.gain), ("shift", description.shift)):
        constant = onnx.numpy_helper.from_array(values.reshape(shape), f"{name}_{suffix}")
        graph.initializer.append(constant)
    add = onnx.helper.make_node("Add", [scaled, f"{name}_shift"], [shifted], name="shift_pixels")
    multiply = onnx.helper.make_node("Mul", [name, f"{name}_gain"], [scaled], name="scale_pixels")
    graph.node.insert(0, add)
    graph.node.insert(0, multiply)


def _scores(content: bytes, values: np.ndarray, path: Path) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        (source,) = session.get_inputs()
        results = [session.run(None, {source.name: one[np.newaxis]})[0] for one in values]
    except Exception as error:  # ONNX Runtime's own exceptions share no public base
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: ONNX Runtime cannot run it ({first_line})") from error
    return np.asarray(np.concatenate(results), np.float32)
