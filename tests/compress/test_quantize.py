import hashlib
import json

import numpy as np
import onnx
import pytest

from edge_fer.bundle import Bundle
from edge_fer.compress.quantize import Request, quantize
from edge_fer.compress.quantize_onnx import dynamic_onnx, half_onnx, quantize_onnx
from edge_fer.compress.quantize_tflite import dynamic_tflite, half_tflite, quantize_tflite
from edge_fer.compress.ranges import Method
from edge_fer.compress.recipe import Recipe
from edge_fer.errors import DataError, EdgeFerError, ModelError
from edge_fer.evaluate.predict import engine_logits, torch_logits
from edge_fer.export.onnx_graph import summarise_onnx
from edge_fer.graph import summarise_tflite
from edge_fer.labels import FER2013_LABELS
from edge_fer.preprocess import Preprocessing
from edge_fer.runtime.classifier import input_of_pixel, softmax
from edge_fer.runtime.engines import load_engine

ENGINE = {"tflite": "litert", "onnx": "onnxruntime"}
GRAY = Preprocessing()
RECIPE = Recipe(name="static_wi8_ai8", images=24)


def engine_of(artifacts, name):
    return load_engine(ENGINE[name.partition(".")[2]], artifacts[name], name)


def test_the_int8_tflite_input_is_the_pixel_minus_128(artifacts):
    tensor = engine_of(artifacts, "int8.tflite").input
    assert (tensor.dtype, tensor.scale, tensor.zero_point) == ("int8", 1 / 128, 0)
    assert np.array_equal(input_of_pixel(tensor), np.arange(-128, 128))


def test_the_int8_onnx_input_is_the_pixel_itself(artifacts):
    tensor = engine_of(artifacts, "int8.onnx").input
    assert (tensor.dtype, tensor.scale, tensor.zero_point) == ("uint8", 1 / 128, 128)
    assert np.array_equal(input_of_pixel(tensor), np.arange(256))


def test_onnx_keeps_the_names_of_layers_and_shortens_the_others(artifacts):
    float_graph, graph = (
        onnx.load_from_string(artifacts[name]).graph for name in ("fp32.onnx", "int8.onnx")
    )
    layers = {name for node in float_graph.node for name in node.output}
    kept = [name for node in graph.node for name in node.output if name in layers]
    assert len(kept) >= 5
    added = [tensor.name for tensor in graph.initializer]
    added += [n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"]
    assert len(set(added)) > 20
    assert max(map(len, added)) <= 2


def test_onnx_keeps_each_constant_once(artifacts):
    tensors = onnx.load_from_string(artifacts["int8.onnx"]).graph.initializer
    names = [tensor.name for tensor in tensors]
    for tensor in tensors:
        tensor.name = ""
    assert len(set(names)) == len(names) == len({one.SerializeToString() for one in tensors})


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_the_same_face_gives_nearly_the_same_probabilities(
    network, artifacts, calibration_NHW, format_
):
    expected_NK = softmax(torch_logits(network, calibration_NHW, GRAY))
    for precision, tolerance in (("fp32", 1e-5), ("int8", 0.02)):
        engine = engine_of(artifacts, f"{precision}.{format_}")
        probabilities_NK = softmax(engine_logits(engine, calibration_NHW, GRAY))
        np.testing.assert_allclose(probabilities_NK, expected_NK, rtol=0, atol=tolerance)


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_quantizing_twice_gives_the_same_logits(artifacts, calibration_NHW, format_):
    again = {"tflite": quantize_tflite, "onnx": quantize_onnx}[format_](
        artifacts[f"fp32.{format_}"], calibration_NHW
    )
    first, second = (
        engine_logits(load_engine(ENGINE[format_], content, "m"), calibration_NHW, GRAY)
        for content in (artifacts[f"int8.{format_}"], again)
    )
    assert np.array_equal(first, second)


def request_for(checkpoint, data, out, **changes):
    values = {
        "checkpoint": checkpoint,
        "recipe": RECIPE,
        "calibration": f"fer2013:{data}",
        "out": out,
        "command": "edge-fer quantize",
    }
    return Request(**(values | changes))


@pytest.mark.slow
def test_a_checkpoint_becomes_a_bundle_that_says_what_it_is(checkpoint, tiny_fer2013, tmp_path):
    stages = []
    request = request_for(
        checkpoint, tiny_fer2013, tmp_path / "out", evaluation=f"fer2013:{tiny_fer2013}"
    )
    document = quantize(request, stages.append)
    manifest = Bundle.load(tmp_path / "out").manifest
    assert [f.file for f in manifest.files] == [
        "model.fp32.tflite",
        "model.int8.tflite",
        "model.fp32.onnx",
        "model.int8.onnx",
    ]
    assert document["schema"] == "edge-fer/quantize/1"
    assert len(document["rows"]) == 4
    assert set(document["stages_s"]) == set(stages)
    assert all(row["n"] == 16 and 0 <= row["accuracy"] <= 1 for row in document["rows"])
    assert all(row["drop_pt"] == 0 for row in document["rows"] if row["precision"] == "fp32")
    assert all(f.macs == manifest.macs for f in manifest.files)
    assert manifest.model == "tiny"
    assert manifest.labels == FER2013_LABELS
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert manifest.provenance["checkpoint_sha256"] == digest
    assert manifest.calibration["data"] == "fer2013"
    assert str(tmp_path) not in json.dumps([manifest.calibration, manifest.licences])
    for row in document["rows"]:
        assert ("against_float" in row) == (row["precision"] == "int8")
        assert row["audit"]["float_operators"] == []


@pytest.mark.slow
def test_without_labels_the_files_are_compared_on_the_calibration_faces(
    checkpoint, tiny_fer2013, tmp_path
):
    request = request_for(checkpoint, tiny_fer2013, tmp_path / "out", int8_only=True)
    rows = quantize(request, lambda _: None)["rows"]
    assert {row["compared_on"] for row in rows} == {"calibration faces"}
    assert {row["accuracy"] for row in rows} == {None}
    files = Bundle.load(tmp_path / "out").manifest.files
    assert [f.precision for f in files] == ["int8", "int8"]
    assert all(f.accuracy is None for f in files)


def test_bad_requests_are_refused_before_anything_is_written(checkpoint, tiny_fer2013, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ModelError, match="no such checkpoint"):
        quantize(request_for(tmp_path / "none", tiny_fer2013, out), lambda _: None)
    with pytest.raises(DataError):
        quantize(request_for(checkpoint, tmp_path / "none.csv", out), lambda _: None)
    assert not out.exists()


@pytest.mark.parametrize(
    ("recipe", "calibration", "evaluation"),
    [("static_wi8_ai8", None, "x"), ("fp16", None, None), ("mixed_wi8_ai8", "x", "x")],
)
def test_a_request_that_lacks_something_is_refused(recipe, calibration, evaluation, tmp_path):
    with pytest.raises(EdgeFerError, match="--"):
        Request(
            checkpoint=tmp_path,
            recipe=Recipe(name=recipe),
            calibration=calibration,
            evaluation=evaluation,
            out=tmp_path,
        )


@pytest.mark.parametrize(
    ("name", "make", "tolerance"),
    [
        ("fp32.tflite", half_tflite, 1e-3),
        ("fp32.onnx", half_onnx, 1e-3),
        ("fp32.tflite", dynamic_tflite, 0.02),
        ("fp32.onnx", dynamic_onnx, 0.05),
    ],
)
def test_without_calibration_the_probabilities_stay_near(
    network, artifacts, calibration_NHW, name, make, tolerance
):
    content, format_ = make(artifacts[name]), name.partition(".")[2]
    engine = load_engine(ENGINE[format_], content, name)
    expected_NK = softmax(torch_logits(network, calibration_NHW, GRAY))
    found_NK = softmax(engine_logits(engine, calibration_NHW, GRAY))
    np.testing.assert_allclose(found_NK, expected_NK, rtol=0, atol=tolerance)


@pytest.mark.parametrize("method", ["percentile", "mse"])
def test_both_formats_get_the_same_ranges_and_the_same_labels(
    artifacts, network, calibration_NHW, method
):
    chosen = Method(name=method, percentile=99.9 if method == "percentile" else 100)
    expected_NK = softmax(torch_logits(network, calibration_NHW, GRAY))
    for format_, quantize_format in (("tflite", quantize_tflite), ("onnx", quantize_onnx)):
        content = quantize_format(artifacts[f"fp32.{format_}"], calibration_NHW, chosen)
        engine = load_engine(ENGINE[format_], content, "m")
        assert engine.input.scale == 1 / 128
        found_NK = softmax(engine_logits(engine, calibration_NHW, GRAY))
        np.testing.assert_allclose(found_NK, expected_NK, rtol=0, atol=0.03)


def test_half_precision_keeps_the_counts(artifacts):
    for name, make, summarise in (
        ("fp32.tflite", half_tflite, summarise_tflite),
        ("fp32.onnx", half_onnx, summarise_onnx),
    ):
        before, after = summarise(artifacts[name], "m"), summarise(make(artifacts[name]), "m")
        assert (before.params, before.macs) == (after.params, after.macs)
