"""What the engines of this machine make of a file: asked, not looked up.

Runs native code; call it through ``isolated``.
"""

import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

_MOVES = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_INTEGER = frozenset({"QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"})


def ask_litert(content: bytes) -> dict[str, Any]:
    """Loads a ``.tflite`` and sees which operators XNNPACK took.

    Returns:
        ``engine``, ``version``, ``delegated`` operators of ``operators``, and ``left``: the kinds
        of the others with their counts.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    steps = interpreter._get_ops_details()
    own = [step for step in steps if step["op_name"] != "DELEGATE"]
    taken = set().union(*(_taken(own, step) for step in steps if step["op_name"] == "DELEGATE"))
    left = Counter(step["op_name"] for i, step in enumerate(own) if i not in taken)
    return {
        "engine": "litert",
        "version": version("ai-edge-litert"),
        "delegated": len(taken),
        "operators": len(own),
        "left": dict(left),
    }


def _taken(own: list[dict[str, Any]], delegate: dict[str, Any]) -> set[int]:
    """Operators between the tensors that a delegate reads and those that it gives."""
    producer = {int(tensor): i for i, step in enumerate(own) for tensor in step["outputs"]}
    given = {int(tensor) for tensor in delegate["inputs"]}
    waiting, found = [int(tensor) for tensor in delegate["outputs"]], set()
    while waiting:
        tensor = waiting.pop()
        index = producer.get(tensor)
        if tensor not in given and index is not None and index not in found:
            found.add(index)
            waiting += [int(one) for one in own[index]["inputs"]]
    return found


def ask_onnxruntime(content: bytes) -> dict[str, Any]:
    """Lets ONNX Runtime optimise an ``.onnx`` and reads which operators then run in float.

    Returns:
        ``engine``, ``version``, ``operators``: kinds of the optimised graph with their counts,
        ``float``: those of them that give floating-point tensors, and ``conversions``: how often
        it quantizes or dequantizes in between.
    """
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(optimised)
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        del session
        graph = onnx.load(str(optimised)).graph
    floats = _float_tensors(graph, onnx)
    computing = [node for node in graph.node if node.op_type not in _MOVES]
    in_float = [node for node in computing if any(name in floats for name in node.output)]
    return {
        "engine": "onnxruntime",
        "version": version("onnxruntime"),
        "operators": dict(Counter(node.op_type for node in computing)),
        "float": dict(Counter(node.op_type for node in in_float)),
        "conversions": sum(node.op_type in _MOVES for node in graph.node),
    }


def _float_tensors(graph: Any, onnx: Any) -> set[str]:
    """Names of float tensors, where the types are known; else by which node gives them."""
    kinds = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    values = (*graph.input, *graph.value_info, *graph.output)
    known = {value.name: value.type.tensor_type.elem_type for value in values}
    floats = {name for name, kind in known.items() if kind in kinds}
    constants = {tensor.name for tensor in graph.initializer if tensor.data_type in kinds}
    for node in graph.node:
        if node.output[0] in known or node.op_type in _INTEGER:
            continue
        quantized = node.op_type.startswith(("QLinear", "QGemm", "QAttention"))
        reads = any(name in floats or name in constants for name in node.input)
        if node.op_type == "DequantizeLinear" or (reads and not quantized):
            floats |= set(node.output)
    return floats
