import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edge_fer.compress.audit import audit_int8
from edge_fer.errors import ModelError
from edge_fer.export.onnx_graph import summarise_onnx


def product(code, dtype, batch=1):
    """One MatMul of ``[batch, 6]`` by ``[6, 4]``."""
    weight = onnx.numpy_helper.from_array(np.ones((6, 4), dtype), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", code, [batch, 6])],
        [helper.make_tensor_value_info("y", code, [batch, 4])],
        [weight],
    )
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def test_a_product_is_counted():
    summary = summarise_onnx(product(TensorProto.FLOAT, np.float32), "g")
    assert (summary.macs, summary.params) == (24, 24)
    assert summary.arena_bytes == 4 * (6 + 4)


@pytest.mark.parametrize(
    ("code", "dtype"),
    [
        (TensorProto.FLOAT, np.float32),
        (TensorProto.FLOAT16, np.float16),
        (TensorProto.DOUBLE, np.float64),
    ],
    ids=["float32", "float16", "float64"],
)
def test_no_float_of_any_width_passes_the_audit(code, dtype):
    faults = audit_int8(summarise_onnx(product(code, dtype), "g"))
    assert len(faults) == 3
    assert "MatMul" in faults[2]


def test_a_dynamic_shape_is_refused_rather_than_counted_as_zero():
    with pytest.raises(ModelError, match="dynamic"):
        summarise_onnx(product(TensorProto.FLOAT, np.float32, batch="N"), "g")
