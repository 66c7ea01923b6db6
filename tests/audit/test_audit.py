import json

import pytest

from edge_fer.audit.audit import Subject, audit_file, document_of
from edge_fer.audit.request import audit
from edge_fer.errors import EdgeFerError, ModelError

ENGINE = {"tflite": "litert", "onnx": "onnxruntime"}


def audited(content, name="model.int8.tflite"):
    format_ = name.rpartition(".")[2]
    return audit_file(
        Subject(name=name, content=content, format=format_, claims_int8="int8" in name)
    )


def codes(document, severity="error"):
    return {one["code"] for one in document["verdicts"] if one["severity"] == severity}


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_a_quantized_file_of_ours_passes(artifacts, format_):
    document = audited(artifacts[f"int8.{format_}"], f"model.int8.{format_}")
    assert codes(document) == set()
    assert document["macs"]["integer_share"] == 1
    assert document["float_operators"] == []
    assert document["weights"]["per_channel"] == 4
    assert document["weights"]["per_tensor"] == document["weights"]["asymmetric"] == 0
    assert document["engine"]["engine"] == ENGINE[format_]
    json.dumps(document, allow_nan=False)


def test_the_shipped_bundle_passes(shipped_bundle):
    document = audit([shipped_bundle])
    assert document["schema"] == "edge-fer/audit/1"
    assert document["errors"] == 0
    assert {file["format"] for file in document["files"]} == {"tflite", "onnx"}
    assert all(file["quantized"] for file in document["files"])
    assert all(not file["engine"].get("float") for file in document["files"])


def test_weights_in_int8_alone_are_flagged(dynamic_tflite):
    document = audited(dynamic_tflite)
    assert codes(document) == {"float-io", "float-activations"}
    assert document["macs"]["integer"] == 0
    assert {one["kind"] for one in document["float_operators"]} >= {"CONV_2D", "FULLY_CONNECTED"}
    assert all(one["tensor"] for one in document["float_operators"])


def test_integers_between_float_ends_are_flagged(float_ends_onnx):
    document = audited(float_ends_onnx, "model.int8.onnx")
    assert codes(document) == {"float-io"}
    assert document["macs"]["integer_share"] == 1
    assert len([one for one in document["verdicts"] if one["code"] == "float-io"]) == 2


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_a_float_file_is_an_error_only_if_it_says_that_it_is_int8(artifacts, format_):
    content = artifacts[f"fp32.{format_}"]
    assert codes(audited(content, f"model.int8.{format_}")) == {"not-quantized"}
    honest = audited(content, f"model.fp32.{format_}")
    assert codes(honest) == set()
    assert "float" in codes(honest, "note")


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_macs_are_those_of_the_network(artifacts, format_):
    macs = 6 * 9 * 24 * 24 + 6 * 9 * 24 * 24 + 8 * 6 * 24 * 24 + 7 * 8
    document = audited(artifacts[f"int8.{format_}"], f"m.{format_}")
    assert document["macs"]["total"] == macs
    assert sum(row["macs"] for row in document["operators"]) == macs


def test_input_and_output_say_how_they_are_quantized(artifacts):
    document = audited(artifacts["int8.tflite"])
    (source,) = document["inputs"]
    assert (source["dtype"], source["scale"], source["zero_point"]) == ("INT8", 1 / 128, 0)
    (source,) = audited(artifacts["int8.onnx"], "m.int8.onnx")["inputs"]
    assert (source["dtype"], source["scale"], source["zero_point"]) == ("UINT8", 1 / 128, 128)


def test_the_edge_tpu_takes_all_of_int8_and_nothing_of_float(artifacts):
    def of(content):
        return {one["name"]: one for one in audited(content)["delegates"]}["Coral Edge TPU"]

    whole, nothing = of(artifacts["int8.tflite"]), of(artifacts["fp32.tflite"])
    assert (whole["macs_share"], whole["first_break"]) == (1, None)
    assert nothing["macs_share"] == 0
    assert "FLOAT32" in nothing["first_break"]["why"]


def test_tensorrt_refuses_unsigned_activations(artifacts):
    (tensorrt,) = audited(artifacts["int8.onnx"], "m.onnx")["delegates"]
    assert tensorrt["operators"] == 0
    assert tensorrt["first_break"]["why"] == "UINT8 activations"


def test_the_table_of_xnnpack_is_what_litert_does(artifacts, dynamic_tflite):
    for content in (artifacts["int8.tflite"], artifacts["fp32.tflite"], dynamic_tflite):
        document = audited(content)
        (xnnpack,) = [one for one in document["delegates"] if one["name"] == "XNNPACK"]
        assert xnnpack["operators"] == document["engine"]["delegated"]


def test_layers_are_measured_against_the_float_twin(artifacts, tmp_path, tiny_fer2013):
    for name, content in artifacts.items():
        (tmp_path / f"model.{name}").write_bytes(content)
    for format_ in ("tflite", "onnx"):
        paths = [tmp_path / f"model.int8.{format_}"]
        twin = tmp_path / f"model.fp32.{format_}"
        (file,) = audit(paths, twin, f"fer2013:{tiny_fer2013}")["files"]
        layers = file["layers"]
        assert (layers["faces"], layers["unmatched"]) == (32, 0)
        errors = [row["sqnr_db"] for row in layers["rows"] if row["sqnr_db"] is not None]
        assert errors == sorted(errors)
        assert len(errors) >= len(layers["rows"]) - 1
        assert min(errors) > 15
        assert {row["kind"] for row in layers["rows"]} >= {file["operators"][0]["kind"]}
        assert all(0 <= row["clipped_share"] < 0.05 and row["cause"] for row in layers["rows"])


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_a_twin_must_be_float_and_of_the_same_network(artifacts, tmp_path, tiny_fer2013, format_):
    paths = {}
    for name, content in artifacts.items():
        paths[name] = tmp_path / f"model.{name}"
        paths[name].write_bytes(content)
    data = f"fer2013:{tiny_fer2013}"
    whole, twin = paths[f"int8.{format_}"], paths[f"fp32.{format_}"]
    with pytest.raises(ModelError, match="not a float model"):
        audit([whole], whole, data)
    with pytest.raises(ModelError, match="no quantized"):
        audit([twin], twin, data)
    with pytest.raises(EdgeFerError, match="go together"):
        audit([whole], twin)


def test_a_document_counts_its_errors(artifacts, dynamic_tflite):
    files = [audited(artifacts["int8.tflite"]), audited(dynamic_tflite)]
    assert document_of(files)["errors"] == 3


@pytest.mark.parametrize("name", ["none.tflite", "none.onnx", "none"])
def test_a_missing_file_is_refused_by_name(tmp_path, name):
    with pytest.raises(ModelError, match="none"):
        audit([tmp_path / name])
