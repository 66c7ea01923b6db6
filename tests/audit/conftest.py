import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edge_fer.compress.quantize_onnx import quantize_onnx
from edge_fer.compress.quantize_tflite import quantize_tflite
from edge_fer.export.onnx import export_onnx
from edge_fer.export.tflite import export_tflite

INPUT_NCHW = (1, 1, 48, 48)


@pytest.fixture(scope="session")
def faces_NHW():
    images = np.random.default_rng(0).integers(0, 256, (16, 48, 48), np.uint8)
    images[0, 0, :2] = 0, 255
    return images


@pytest.fixture(scope="session")
def artifacts(faces_NHW):
    """Bytes by name: ``fp32.tflite``, ``int8.tflite``, ``fp32.onnx``, ``int8.onnx``."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.Conv2d(6, 8, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 7),
    ).eval()
    tflite, onnx_file = export_tflite(network, INPUT_NCHW), export_onnx(network, INPUT_NCHW)
    return {
        "fp32.tflite": tflite,
        "int8.tflite": quantize_tflite(tflite, faces_NHW),
        "fp32.onnx": onnx_file,
        "int8.onnx": quantize_onnx(onnx_file, faces_NHW),
    }


@pytest.fixture(scope="session")
def dynamic_tflite(artifacts):
    """Weights in INT8, everything else in float: what many call quantized."""
    from ai_edge_quantizer import quantizer, recipe

    result = quantizer.Quantizer(artifacts["fp32.tflite"], recipe.dynamic_wi8_afp32()).quantize(
        enable_progress_bar=False, enable_progress_report=False
    )
    return bytes(result.quantized_model)


@pytest.fixture(scope="session")
def float_ends_onnx(artifacts):
    """Our INT8 file with Q and DQ at its ends, as most tools leave them."""
    model = onnx.load_from_string(artifacts["int8.onnx"])
    notes = {entry.key: entry.value.split(",") for entry in model.metadata_props}
    graph = model.graph
    for value, key, kind in (
        (graph.input[0], "edge_fer.input", "QuantizeLinear"),
        (graph.output[0], "edge_fer.output", "DequantizeLinear"),
    ):
        scale, zero = float(notes[key][0]), int(notes[key][1])
        inner, name = f"{value.name}_inner", value.name
        for node in graph.node:
            node.input[:] = [inner if one == name else one for one in node.input]
            node.output[:] = [inner if one == name else one for one in node.output]
        constants = (np.float32(scale), np.uint8(zero))
        names = [f"{name}_scale_x", f"{name}_zero_x"]
        for one, constant in zip(names, constants, strict=True):
            graph.initializer.append(onnx.numpy_helper.from_array(np.array(constant), one))
        first = kind == "QuantizeLinear"
        ends = ([name, *names], [inner]) if first else ([inner, *names], [name])
        node = onnx.helper.make_node(kind, *ends)
        if first:
            graph.node.insert(0, node)
        else:
            graph.node.append(node)
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return model.SerializeToString()
