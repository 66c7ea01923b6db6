import numpy as np
import pytest

from edge_fer.bench.limit import limit_model
from edge_fer.bench.ops import operator_times, summarise, trimmed_mean
from edge_fer.bench.ops_onnxruntime import COPIES, FEW, MANY, idle_model, trace_times
from edge_fer.errors import ModelError
from edge_fer.runtime.engines import OnnxRuntimeEngine

#: The criterion is 10 %; a busy machine stretches single operators.
NOISY = 0.35


@pytest.mark.parametrize(("engine", "format_"), [("onnxruntime", "onnx"), ("litert", "tflite")])
def test_the_operators_of_a_real_model_add_up_to_about_the_whole(shipped_bundle, engine, format_):
    content = (shipped_bundle / f"model.int8.{format_}").read_bytes()
    times = operator_times(engine, content, 1)
    assert len(times["operators"]) > 15
    assert sum(one["share"] for one in times["operators"]) == pytest.approx(1)
    assert times["explained"] == pytest.approx(1, abs=NOISY)
    assert "onv" in max(times["operators"], key=lambda one: one["ms"])["kind"]


def test_engines_without_a_profiler_are_refused():
    with pytest.raises(ModelError, match="openvino"):
        operator_times("openvino", b"", 1)


def test_more_threads_than_one_are_refused_by_litert():
    with pytest.raises(ModelError, match="one thread"):
        operator_times("litert", limit_model("tflite", "int8").content, 2)


def test_a_file_that_ends_the_profiling_process_is_an_error():
    with pytest.raises(ModelError, match="profiler does not answer"):
        operator_times("litert", b"no model", 1)


def test_the_middle_half_is_averaged():
    assert trimmed_mean([0, 0, 1, 1, 1, 2, 900, 900]) == pytest.approx(1.25)
    assert trimmed_mean([3.0]) == 3


def test_times_are_summed_and_never_below_zero():
    found = summarise({
        "operators": [{"name": "a", "kind": "A", "us": [900.0]},
                      {"name": "b", "kind": "B", "us": [-2.0]}],
        "whole_ms": [1.0],
    })  # fmt: skip
    assert [one["ms"] for one in found["operators"]] == [0.9, 0.0]
    assert (found["sum_ms"], found["explained"]) == (0.9, 0.9)


def test_a_trace_is_read_by_operator_without_the_first_runs():
    def node(name, us):
        said = {"op_name": "Conv", "input_type_shape": [{}, {}]}
        return {"cat": "Node", "name": f"{name}_kernel_time", "dur": us, "args": said}

    trace = [{"cat": "Session", "name": "model_run", "dur": 9}]
    trace += [node("a", 50), node("a", 5), node("a", 6)]
    (traced,) = trace_times(trace, skip=1).values()
    assert (traced.kind, traced.inputs, traced.us) == ("Conv", 2, [5, 6])
    with pytest.raises(ModelError, match="no operator"):
        trace_times(trace[:1])


def test_the_idle_model_is_a_valid_file_with_operators_of_few_and_many_inputs():
    onnx = pytest.importorskip("onnx")
    model = onnx.load_model_from_string(idle_model())
    onnx.checker.check_model(model, full_check=True)
    assert [len(node.input) for node in model.graph.node] == [FEW, MANY] * COPIES
    assert OnnxRuntimeEngine(idle_model(), "idle", 1)(np.full(1, 2, np.float32)) == [-2]
