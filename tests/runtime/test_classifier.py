from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_fer.bundle import Bundle, Tensor
from edge_fer.errors import ModelError
from edge_fer.runtime import classifier
from edge_fer.runtime.classifier import (
    Classifier,
    choose_file,
    from_output,
    input_of_pixel,
    softmax,
)


@pytest.fixture(scope="module")
def bundle(bundle_dir):
    return Bundle.load(bundle_dir)


def file_named(bundle, name):
    return next(f for f in bundle.manifest.files if f.file == name)


def test_an_int8_input_is_the_pixel_minus_128_exactly():
    table = input_of_pixel(Tensor(shape=(1,), dtype="int8", scale=1 / 128, zero_point=0))
    assert table.dtype == np.int8
    assert table.tolist() == list(range(-128, 128))


def test_a_uint8_input_is_the_pixel_exactly():
    table = input_of_pixel(Tensor(shape=(1,), dtype="uint8", scale=1 / 128, zero_point=128))
    assert table.dtype == np.uint8
    assert table.tolist() == list(range(256))


def test_a_float_input_is_the_normalised_pixel():
    table = input_of_pixel(Tensor(shape=(1,), dtype="float32"))
    assert np.array_equal(table, (np.arange(256) - 128) / np.float32(128))


def test_values_outside_an_inputs_range_saturate():
    table = input_of_pixel(Tensor(shape=(1,), dtype="int8", scale=1 / 256, zero_point=0))
    assert (table[0], table[255]) == (-128, 127)
    assert (np.diff(table.astype(int)) >= 0).all()


def test_an_integer_output_becomes_logits_by_its_scale():
    tensor = Tensor(shape=(1, 3), dtype="int8", scale=0.5, zero_point=-4)
    logits_K = from_output(np.array([[-128, -4, 127]], np.int8), tensor)
    assert logits_K.dtype == np.float32
    assert logits_K.tolist() == [-62, 0, 65.5]


@given(arrays(np.float32, (3, 5), elements=st.floats(-1e4, 1e4, width=32)), st.floats(-100, 100))
@settings(deadline=None, max_examples=100)
def test_softmax_is_a_distribution_that_ignores_a_common_offset(logits, offset):
    probabilities = softmax(logits)
    assert probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(softmax(logits + np.float32(offset)), probabilities, atol=1e-2)


@pytest.mark.parametrize("name", ["model.int8.tflite", "model.fp32.tflite"])
def test_a_face_gives_a_distribution_over_the_labels(bundle, name):
    loaded = Classifier(bundle, file_named(bundle, name), "litert")
    pixels_HW = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    logits_K = loaded.logits(pixels_HW)
    probabilities_K = loaded.probabilities(logits_K)
    assert logits_K.shape == probabilities_K.shape == (len(loaded.labels),)
    assert probabilities_K.sum() == pytest.approx(1, abs=1e-5)
    assert np.array_equal(loaded.logits(pixels_HW), logits_K)


def test_a_higher_temperature_is_less_sure_of_the_same_label(bundle):
    model_file = file_named(bundle, "model.int8.tflite")
    hot = replace(bundle, manifest=replace(bundle.manifest, temperature=4.0))
    logits_K = np.array([0, 3, 1, 0, 0, 0, 0], np.float32)
    cold_K = Classifier(bundle, model_file, "litert").probabilities(logits_K)
    hot_K = Classifier(hot, model_file, "litert").probabilities(logits_K)
    assert cold_K.argmax() == hot_K.argmax() == 1
    assert hot_K.max() < cold_K.max()
    np.testing.assert_allclose(hot_K, softmax(logits_K / 4), atol=1e-6)


@pytest.mark.parametrize("engine", ["onnxruntime", "none"])
def test_an_engine_that_does_not_read_the_format_is_refused(bundle, engine):
    with pytest.raises(ModelError, match=engine):
        Classifier(bundle, file_named(bundle, "model.int8.tflite"), engine)


def test_int8_is_preferred_and_float_taken_where_there_is_nothing_else(bundle):
    assert choose_file(bundle)[0].precision == "int8"
    floats = tuple(f for f in bundle.manifest.files if f.precision == "fp32")
    only_float = replace(bundle, manifest=replace(bundle.manifest, files=floats))
    assert choose_file(only_float)[0].precision == "fp32"


def test_the_engine_asked_for_decides_the_format(bundle):
    model_file, engine = choose_file(bundle, "litert")
    assert (model_file.format, engine) == ("tflite", "litert")


def test_only_installed_engines_are_chosen(bundle, monkeypatch):
    monkeypatch.setattr(classifier, "installed_engines", lambda: ["litert"])
    assert choose_file(bundle)[1] == "litert"
    onnx = tuple(f for f in bundle.manifest.files if f.format == "onnx")
    with pytest.raises(ModelError, match="onnx"):
        choose_file(replace(bundle, manifest=replace(bundle.manifest, files=onnx)))


def test_an_unknown_engine_is_refused(bundle):
    with pytest.raises(ModelError, match="tensorrt"):
        choose_file(bundle, "tensorrt")
