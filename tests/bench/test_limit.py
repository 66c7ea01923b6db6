import numpy as np
import pytest

from edge_fer.bench.limit import CHANNELS, MACS, SIDE_PX, limit_model
from edge_fer.errors import ModelError
from edge_fer.graph import summarise_tflite
from edge_fer.runtime.engines import load_engine


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize(("engine", "format_"), [("onnxruntime", "onnx"), ("litert", "tflite")])
def test_the_large_product_runs_in_its_own_precision(engine, format_, precision):
    subject = limit_model(format_, precision)
    loaded = load_engine(engine, subject.content, subject.name)
    assert np.prod(loaded.input.shape) == SIDE_PX**2 * CHANNELS
    assert (loaded.input.dtype == "float32") == (precision == "fp32")
    out = loaded(np.ones(loaded.input.shape, loaded.input.dtype))
    assert out.shape == loaded.output.shape
    assert out.std() > 0


def test_its_macs_are_those_of_the_graph():
    subject = limit_model("tflite", "int8")
    summary = summarise_tflite(subject.content, subject.name)
    assert summary.macs == subject.macs == MACS
    assert summary.input_type == "INT8"


def test_other_formats_are_refused():
    with pytest.raises(ModelError, match="ncnn"):
        limit_model("ncnn", "int8")
