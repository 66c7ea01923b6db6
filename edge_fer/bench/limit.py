"""What an engine can do at best: one large product, a 1x1 convolution of 512 channels.

A network's MAC/s beside this one's, in the same run, says how far from the limit it is.
"""

from typing import Any

import numpy as np

from edge_fer.bench.subjects import Subject
from edge_fer.errors import MissingExtraError, ModelError

CHANNELS, SIDE_PX = 512, 28
MACS = SIDE_PX**2 * CHANNELS**2
_STEP = 1 / 128


def limit_model(format_: str, precision: str) -> Subject:
    """Builds the product, without any exporter.

    Args:
        format_: ``tflite`` or ``onnx``.
        precision: ``fp32`` or ``int8``.

    Raises:
        MissingExtraError: ``onnx``, or ``flatbuffers`` for TFLite, is not installed.
        ModelError: No such format.
    """
    builders = {"tflite": _tflite, "onnx": _onnx}
    if format_ not in builders:
        raise ModelError(f"no large product is built as {format_}")
    weight_OI = np.random.default_rng(0).integers(-127, 128, (CHANNELS, CHANNELS)).astype(np.int8)
    return Subject(
        name=f"limit.{precision}.{format_}",
        format=format_,
        precision=precision,
        content=builders[format_](weight_OI, precision == "int8"),
        params=CHANNELS * (CHANNELS + 1),
        macs=MACS,
        arena_mb=None,
    )


def _onnx(weight_OI: np.ndarray, integer: bool) -> bytes:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("Building the large product in ONNX", "quantize") from error
    shape = [1, CHANNELS, SIDE_PX, SIDE_PX]
    kind = onnx.TensorProto.UINT8 if integer else onnx.TensorProto.FLOAT
    weight_OIHW = weight_OI.reshape(CHANNELS, CHANNELS, 1, 1)
    bias_O = np.zeros(CHANNELS, np.int32)
    if integer:
        nodes = _quantized_nodes(onnx.helper.make_node)
        scale_O = np.full(CHANNELS, _STEP, np.float32)
        constants = {
            "x_scale": np.float32(_STEP),
            "x_zero": np.uint8(128),
            "w": weight_OIHW,
            "w_scale": scale_O,
            "w_zero": np.zeros(CHANNELS, np.int8),
            "b": bias_O,
            "b_scale": scale_O * np.float32(_STEP),
            "b_zero": np.zeros(CHANNELS, np.int32),
            "y_scale": np.float32(32 * _STEP),
        }
    else:
        nodes = [onnx.helper.make_node("Conv", ["x", "w", "b"], ["y"])]
        constants = {"w": weight_OIHW * np.float32(_STEP), "b": bias_O.astype(np.float32)}
    graph = onnx.helper.make_graph(
        nodes,
        "limit",
        [onnx.helper.make_tensor_value_info("x", kind, shape)],
        [onnx.helper.make_tensor_value_info("y", kind, shape)],
        [onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    return bytes(
        onnx.helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    )


def _quantized_nodes(make_node: Any) -> list[Any]:
    return [
        make_node("DequantizeLinear", ["x", "x_scale", "x_zero"], ["x_real"]),
        make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_real"], axis=0),
        make_node("DequantizeLinear", ["b", "b_scale", "b_zero"], ["b_real"], axis=0),
        make_node("Conv", ["x_real", "w_real", "b_real"], ["y_real"]),
        make_node("QuantizeLinear", ["y_real", "y_scale", "x_zero"], ["y"]),
    ]


def _tflite(weight_OI: np.ndarray, integer: bool) -> bytes:
    try:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise MissingExtraError("Building the large product in TFLite", "quantize") from error
    kind = schema.TensorType.INT8 if integer else schema.TensorType.FLOAT32
    bias_kind = schema.TensorType.INT32 if integer else schema.TensorType.FLOAT32
    weight = weight_OI if integer else weight_OI * np.float32(_STEP)
    bias = np.zeros(CHANNELS, np.int32 if integer else np.float32)
    steps = np.full(CHANNELS, _STEP)
    image, kernel = [1, SIDE_PX, SIDE_PX, CHANNELS], [CHANNELS, 1, 1, CHANNELS]
    graph = schema.SubGraphT()
    graph.tensors = [
        _tensor(schema, "x", image, kind, 0, steps[:1] if integer else None),
        _tensor(schema, "w", kernel, kind, 1, steps if integer else None),
        _tensor(schema, "b", [CHANNELS], bias_kind, 2, steps * _STEP if integer else None),
        _tensor(schema, "y", image, kind, 0, 32 * steps[:1] if integer else None),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [3], [_convolution(schema)]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 3 if integer else 1
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [_buffer(schema, data) for data in (b"", weight.tobytes(), bias.tobytes())]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(
    schema: Any, name: str, shape: list[int], kind: int, buffer: int, scale: np.ndarray | None
) -> object:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), shape, kind, buffer
    if scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = scale.astype(np.float32)
        tensor.quantization.zeroPoint = np.zeros(len(scale), np.int64)
        tensor.quantization.quantizedDimension = 0
    return tensor


def _convolution(schema: Any) -> object:
    options = schema.Conv2DOptionsT()
    options.strideW = options.strideH = 1
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    operator.builtinOptions = options
    return operator


def _buffer(schema: Any, data: bytes) -> object:
    buffer = schema.BufferT()
    if data:
        buffer.data = np.frombuffer(data, np.uint8)
    return buffer
