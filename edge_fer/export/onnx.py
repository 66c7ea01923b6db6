"""Torch to float ONNX."""

import io
from typing import Any

import numpy as np
import torch
from torch import nn

from edge_fer.export.quiet import quiet

OPSET = 18
INPUT_NAME = "pixels"
OUTPUT_NAME = "logits"


def export_onnx(network: nn.Module, input_nchw: tuple[int, ...]) -> bytes:
    """Converts a network in evaluation mode.

    Args:
        network: Takes float32 ``[1, C, H, W]``, gives logits ``[1, K]``.
        input_nchw: Its input shape, batch 1.

    Returns:
        An ``.onnx`` file with input ``pixels`` float32 ``[1, C, H, W]`` and output ``logits``.
    """
    with quiet():
        import onnx

        program = torch.onnx.export(
            network,
            (torch.zeros(input_nchw),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            verbose=False,
        )
        assert program is not None
        model = program.model_proto
        make_quantizable(model)
        stream = io.BytesIO()
        onnx.save_model(model, stream)
        return stream.getvalue()


def make_quantizable(model: Any) -> None:
    """Rewrites, in place, what engines would not run in INT8, and drops the exporter's notes.

    The results stay the same.

    Args:
        model: Float ONNX with one input of fixed shape.
    """
    import onnx

    _strip_metadata(model)
    _use_global_pooling(model, onnx)
    _scale_and_shift(model, onnx)
    _drop_unused_constants(model)


def _strip_metadata(model: Any) -> None:
    """Drops the exporter's notes: stack traces with the paths of this machine."""
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for owner in (model, graph, *graph.node, *values):
        del owner.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""


def _use_global_pooling(model: Any, onnx: Any) -> None:
    """Replaces means over height and width by GlobalAveragePool, which engines have in INT8."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "ReduceMean":
            continue
        listed = [axis for a in node.attribute if a.name == "axes" for axis in a.ints]
        if len(node.input) > 1 and node.input[1] in constants:
            listed = onnx.numpy_helper.to_array(constants[node.input[1]]).tolist()
        axes = {int(axis) % 4 for axis in listed}
        keeps = all(a.i == 1 for a in node.attribute if a.name == "keepdims")
        if axes == {2, 3} and keeps:
            node.op_type = "GlobalAveragePool"
            del node.input[1:]
            del node.attribute[:]


def _scale_and_shift(model: Any, onnx: Any) -> None:
    """Replaces batch norms that follow no convolution by Mul and Add, which quantize."""
    graph = model.graph
    values = {v.name: v for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for index, node in reversed(list(enumerate(graph.node))):
        if node.op_type != "BatchNormalization":
            continue
        rank = len(values[node.input[0]].type.tensor_type.shape.dim)
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        gamma, beta, mean, variance = (constants[name] for name in node.input[1:])
        gain = gamma / np.sqrt(variance + epsilon)
        name = node.output[0]
        for suffix, value in (("gain", gain), ("offset", beta - mean * gain)):
            shaped = value.reshape(-1, *[1] * (rank - 2)).astype(np.float32)
            graph.initializer.append(onnx.numpy_helper.from_array(shaped, f"{name}_{suffix}"))
        multiply = onnx.helper.make_node(
            "Mul", [node.input[0], f"{name}_gain"], [f"{name}_times_gain"]
        )
        add = onnx.helper.make_node("Add", [f"{name}_times_gain", f"{name}_offset"], [name])
        graph.node.remove(node)
        graph.node.insert(index, add)
        graph.node.insert(index, multiply)


def _drop_unused_constants(model: Any) -> None:
    used = {name for node in model.graph.node for name in node.input}
    for tensor in list(model.graph.initializer):
        if tensor.name not in used:
            model.graph.initializer.remove(tensor)
