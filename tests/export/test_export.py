import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from edge_fer.errors import ModelError
from edge_fer.export.onnx_graph import summarise_onnx
from edge_fer.graph import summarise_tflite
from edge_fer.runtime.engines import load_engine

# conv 4x1x3x3 + 4 (its folded batch norm), depthwise 4x3x3 + 4, pointwise 6x4 + 6, dense 5x6 + 5
FOLDED_PARAMS = 40 + 40 + 30 + 35
# 8x8 outputs: 4 filters of 9, 4 of 9, 6 of 4; then 5 of 6
MACS = 64 * (4 * 9 + 4 * 9 + 6 * 4) + 30


@pytest.fixture(params=["tflite", "onnx"])
def summary(request):
    content = request.getfixturevalue(f"float_{request.param}")
    summarise = {"tflite": summarise_tflite, "onnx": summarise_onnx}[request.param]
    return summarise(content, "tiny")


def test_macs_are_those_that_torch_counts(network, summary):
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 1, 16, 16))
    assert summary.macs == counter.get_total_flops() / 2 == MACS


def test_params_are_the_stored_values_with_batch_norm_folded(summary):
    assert summary.params == FOLDED_PARAMS


def test_the_memory_peak_is_two_neighbouring_activations(float_tflite, float_onnx):
    # TFLite fuses ReLU: 8x8x4 beside 8x8x6. ONNX has it on its own: 8x8x6 beside 8x8x6. Float32.
    assert summarise_tflite(float_tflite, "tiny").arena_bytes == 4 * 64 * (4 + 6)
    assert summarise_onnx(float_onnx, "tiny").arena_bytes == 4 * 64 * (6 + 6)


def test_a_float_file_says_so(summary):
    assert (summary.input_type, summary.output_type) == ("FLOAT32", "FLOAT32")
    assert all(set(op.output_types) == {"FLOAT32"} for op in summary.operators if op.macs)


def test_both_formats_give_torchs_logits(network, float_tflite, float_onnx):
    x_NCHW = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.inference_mode():
        expected = network(x_NCHW).numpy()
    tflite = load_engine("litert", float_tflite, "tiny")
    onnx = load_engine("onnxruntime", float_onnx, "tiny")
    x_NHWC = np.ascontiguousarray(x_NCHW.permute(0, 2, 3, 1).numpy())
    assert tflite.input.shape == (1, 16, 16, 1)
    assert onnx.input.shape == (1, 1, 16, 16)
    np.testing.assert_allclose(tflite(x_NHWC), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(onnx(x_NCHW.numpy()), expected, rtol=0, atol=1e-5)


def test_files_hold_no_paths_of_the_machine_that_made_them(float_tflite, float_onnx):
    here = [str(Path.cwd()), str(Path.home()) + "/", str(Path(os.__file__).parent)]
    for content in (float_tflite, float_onnx):
        assert not [path for path in here if path.encode() in content]
        assert b".py" not in content


def test_exporting_leaves_the_network_as_it_was(network):
    assert not network.training
    assert network[1].running_mean.abs().max() <= 0.1


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.9])
def test_a_truncated_tflite_file_is_a_model_error(float_tflite, kept):
    with pytest.raises(ModelError, match="cut"):
        summarise_tflite(float_tflite[: int(kept * len(float_tflite))], "cut")


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.9])
def test_a_truncated_onnx_file_is_a_model_error(float_onnx, kept):
    with pytest.raises(ModelError, match="cut"):
        summarise_onnx(float_onnx[: int(kept * len(float_onnx))], "cut")


@pytest.mark.parametrize("engine", ["litert", "onnxruntime"])
@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\0\0\0TFL3" + bytes(40)])
def test_an_engine_refuses_what_is_no_model_by_name(engine, content):
    with pytest.raises(ModelError, match="my file"):
        load_engine(engine, content, "my file")


def test_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(ModelError, match="litert"):
        load_engine("tensorrt", b"", "model")
