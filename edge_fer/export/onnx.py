"""Torch to float ONNX."""

import io
from typing import Any

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
        _strip_metadata(model)
        _use_global_pooling(model, onnx)
        stream = io.BytesIO()
        onnx.save_model(model, stream)
        return stream.getvalue()


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
        if node.op_type != "ReduceMean" or len(node.input) < 2 or node.input[1] not in constants:
            continue
        axes = {int(axis) % 4 for axis in onnx.numpy_helper.to_array(constants[node.input[1]])}
        keeps = all(a.i == 1 for a in node.attribute if a.name == "keepdims")
        if axes == {2, 3} and keeps:
            node.op_type = "GlobalAveragePool"
            del node.input[1:]
            del node.attribute[:]
    used = {name for node in model.graph.node for name in node.input}
    for tensor in list(model.graph.initializer):
        if tensor.name not in used:
            model.graph.initializer.remove(tensor)
