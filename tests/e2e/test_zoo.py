"""Every model of the zoo: one training step, INT8 in both formats, a photo read with it."""

import json
from pathlib import Path

import pytest

from edge_fer.bundle import Bundle
from edge_fer.compress.audit import audit_int8
from edge_fer.export.onnx_graph import summarise_onnx
from edge_fer.graph import summarise_tflite
from edge_fer.models import MODELS, find_model
from edge_fer.models.complexity import describe
from edge_fer.train.checkpoint import load_checkpoint
from tests.e2e.conftest import Cli

FEW_FACES = """
schema = "edge-fer/recipe/1"
[calibration]
images = 4
seed = 0
method = "min_max"
[audit]
allowed_float_operators = []
"""


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_from_a_training_step_to_a_label(
    model: str, cli: Cli, tmp_path: Path, one_step_fer2013: Path, astronaut: Path
) -> None:
    data = f"fer2013:{one_step_fer2013}"
    done = cli("train", model, "--data", data, "--out", "run", "--epochs", 1, "--batch-size", 4)
    assert done.returncode == 0, done.stderr
    recipe = tmp_path / "static_wi8_ai8.toml"
    recipe.write_text(FEW_FACES)
    arguments = ("--calibration", f"photos:{astronaut}", "--recipe", recipe, "--out", "bundle")
    done = cli("quantize", "run/best.safetensors", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    for row in json.loads(done.stdout)["rows"]:
        if row["precision"] == "fp32":
            assert row["max_probability_error"] <= 1e-4
    for engine in ("litert", "onnxruntime"):
        done = cli("run", astronaut, "--bundle", "bundle", "--engine", engine, "--json")
        assert done.returncode == 0, done.stderr
        (face,) = json.loads(done.stdout)["faces"]
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    _check_counts(tmp_path, model)


def _check_counts(folder: Path, model: str) -> None:
    bundle = Bundle.load(folder / "bundle")
    network = load_checkpoint(folder / "run" / "best.safetensors").network
    macs = describe(network, (1, *find_model(model).input_chw)).macs
    assert bundle.manifest.macs == macs
    for model_file in bundle.manifest.files:
        content = bundle.contents[model_file.file]
        summarise = summarise_tflite if model_file.format == "tflite" else summarise_onnx
        summary = summarise(content, model_file.file)
        assert summary.macs == macs, model_file.file
        if model_file.precision == "int8":
            assert audit_int8(summary) == []
