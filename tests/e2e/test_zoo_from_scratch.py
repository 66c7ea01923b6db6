"""One command trains a shipped model from scratch, its teachers first."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_fer.bundle import Bundle

ZOO = Path(__file__).parents[2] / "benchmarks" / "zoo"


def make_small(data: Path, out: Path) -> str:
    command = ["make", "-C", ZOO, "small", f"DATA=fer2013:{data}", f"OUT={out}"]
    command += [f"EDGE_FER={sys.executable} -m edge_fer"]
    command += ["ARGS=--epochs 1 --batch-size 16 --threads 1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_small_is_trained_quantized_and_calibrated(tiny_fer2013: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    make_small(tiny_fer2013, out)
    manifest = Bundle.load(out / "small").manifest
    assert {one.file for one in manifest.files} == {"model.int8.tflite", "model.int8.onnx"}
    assert manifest.temperature != 1.0
    assert manifest.provenance["training"]["command"].count("--teacher") == 2
    assert "edge_fer train" not in make_small(tiny_fer2013, out)
