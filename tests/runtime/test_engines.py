import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from edge_fer.bundle import Bundle
from edge_fer.errors import EdgeFerError, ModelError
from edge_fer.resources import find_resource
from edge_fer.runtime.classifier import Classifier
from edge_fer.runtime.engines import (
    DEFAULT_ENGINES,
    ENGINE_FORMATS,
    ENGINES,
    PROVIDERS,
    installed_engines,
    load_engine,
    why_missing,
)
from edge_fer.runtime.onnx_metadata import onnx_metadata


@pytest.fixture
def int8_onnx(shipped_bundle):
    return (shipped_bundle / "model.int8.onnx").read_bytes()


def test_every_engine_has_a_format():
    assert set(ENGINES) == set(ENGINE_FORMATS)
    assert set(installed_engines()) <= set(DEFAULT_ENGINES)


def test_openvino_reads_what_onnx_runtime_reads_and_gives_nearly_the_same(int8_onnx):
    pytest.importorskip("openvino")
    engines = [load_engine(name, int8_onnx, "m") for name in ("openvino", "onnxruntime")]
    assert engines[0].input == engines[1].input
    assert engines[0].output == engines[1].output
    x = np.random.default_rng(0).integers(0, 256, engines[0].input.shape).astype(np.uint8)
    ours, theirs = (engine(x).astype(int) for engine in engines)
    assert np.abs(ours - theirs).max() <= 2


def test_a_classifier_runs_on_openvino(shipped_bundle):
    pytest.importorskip("openvino")
    bundle = Bundle.load(shipped_bundle)
    (file,) = [one for one in bundle.manifest.files if one.format == "onnx"]
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
    logits = [Classifier(bundle, file, e).logits(pixels) for e in ("openvino", "onnxruntime")]
    assert np.abs(logits[0] - logits[1]).max() < 0.1


def test_openvino_is_loaded_without_what_sends_messages(shipped_bundle):
    pytest.importorskip("openvino")
    program = (
        "import sys; from pathlib import Path; from edge_fer.runtime.engines import load_engine;"
        "load_engine('openvino', Path(sys.argv[1]).read_bytes(), 'm');"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry')])"
    )
    file = str(shipped_bundle / "model.int8.onnx")
    done = subprocess.run(
        [sys.executable, "-c", program, file], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_that_is_missing_is_said_and_not_replaced_by_the_cpu(name, int8_onnx):
    if why_missing(name) is None:
        pytest.skip("this machine has it")
    assert PROVIDERS[name] in why_missing(name)
    with pytest.raises(EdgeFerError):
        load_engine(name, int8_onnx, "m")


def test_a_module_that_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert {why_missing(name) for name in ENGINES} == {"not installed"}
    assert installed_engines() == []


def test_tflite_runtime_is_the_same_interpreter_from_another_package(shipped_bundle):
    content = (shipped_bundle / "model.int8.tflite").read_bytes()
    if importlib.util.find_spec("tflite_runtime") is None:
        with pytest.raises(ModelError, match="tflite_runtime"):
            load_engine("tflite-runtime", content, "m")
    else:
        assert load_engine("tflite-runtime", content, "m").input.dtype == "int8"


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "litert"])
def test_damaged_bytes_are_refused(name):
    if why_missing(name):
        pytest.skip("not installed")
    with pytest.raises(ModelError, match="broken"):
        load_engine(name, b"no model at all", "broken")


def test_the_notes_of_an_onnx_file_are_read_without_its_package(int8_onnx):
    onnx = pytest.importorskip("onnx")
    notes = onnx_metadata(int8_onnx)
    model = onnx.load_model_from_string(int8_onnx)
    assert notes == {note.key: note.value for note in model.metadata_props}
    assert {"edge_fer.input", "edge_fer.output"} <= set(notes)


def test_a_model_of_convolutions_takes_another_size_and_back():
    bundle = Bundle.load(find_resource("bundle", "face-detector"))
    engine = load_engine("litert", bundle.contents["model.int8.tflite"], "m")
    shape = engine.input.shape
    x = np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8)
    before = engine(x)
    engine.resize((1, 64, 96, 1))
    assert (engine.input.shape, engine.output.shape) == ((1, 64, 96, 1), (1, 8, 12, 15))
    assert engine(x[:, :64, :96]).shape == (1, 8, 12, 15)
    engine.resize(shape)
    np.testing.assert_array_equal(engine(x), before)


def test_a_classifier_cannot_be_resized(shipped_bundle):
    content = (shipped_bundle / "model.int8.tflite").read_bytes()
    engine = load_engine("litert", content, "arch-1")
    with pytest.raises(
        ModelError, match=r"arch-1: LiteRT cannot resize its input to \(1, 48, 48, 3\)"
    ):
        engine.resize((1, 48, 48, 3))
