from dataclasses import replace

import pytest

from edge_fer.compress.audit import audit_int8
from edge_fer.export.onnx_graph import summarise_onnx
from edge_fer.graph import GraphSummary, Operator, summarise_tflite

SUMMARISE = {"tflite": summarise_tflite, "onnx": summarise_onnx}


def operator(kind, *types):
    return Operator(kind=kind, input_types=types, output_types=("INT8",), output_shape=(1,), macs=0)


CLEAN = GraphSummary(
    operators=(operator("CONV_2D", "INT8", "INT8", "INT32"), operator("ADD", "INT8", "INT8")),
    params=1,
    macs=1,
    arena_bytes=1,
    input_type="INT8",
    output_type="UINT8",
)


def test_integers_pass():
    assert audit_int8(CLEAN) == []


@pytest.mark.parametrize("end", ["input", "output"])
def test_a_float_input_or_output_is_a_fault(end):
    assert audit_int8(replace(CLEAN, **{f"{end}_type": "FLOAT32"})) == [f"{end} is FLOAT32"]


@pytest.mark.parametrize("dtype", ["FLOAT16", "BFLOAT16", "FLOAT32", "FLOAT64"])
def test_a_float_operator_is_a_fault_with_its_place_and_type(dtype):
    summary = replace(CLEAN, operators=(*CLEAN.operators, operator("SOFTMAX", dtype)))
    (fault,) = audit_int8(summary)
    assert "2 SOFTMAX" in fault
    assert dtype in fault


def test_a_float_operator_may_be_allowed_by_its_kind():
    summary = replace(
        CLEAN, operators=(operator("SOFTMAX", "FLOAT32"), operator("GELU", "FLOAT32"))
    )
    (fault,) = audit_int8(summary, allowed=("SOFTMAX",))
    assert "GELU" in fault


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_a_float_file_is_flagged_at_both_ends_and_in_between(artifacts, format_):
    faults = audit_int8(SUMMARISE[format_](artifacts[f"fp32.{format_}"], "m"))
    assert faults[:2] == ["input is FLOAT32", "output is FLOAT32"]
    assert any("conv" in fault.lower() for fault in faults[2:])


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_a_quantized_file_passes(artifacts, format_):
    assert audit_int8(SUMMARISE[format_](artifacts[f"int8.{format_}"], "m")) == []
