"""One command trains a shipped model from scratch: teachers first, then the larger ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_fer.bundle import Bundle

ZOO = Path(__file__).parents[2] / "benchmarks" / "zoo"


def make_tiny(data: Path, out: Path) -> str:
    command = ["make", "-j", "2", "-C", ZOO, "tiny", f"DATA=fer2013:{data}", f"OUT={out}"]
    command += [f"EDGE_FER={sys.executable} -m edge_fer"]
    command += ["ARGS=--epochs 1 --batch-size 16 --threads 1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_tiny_is_cut_trained_quantized_and_calibrated(tiny_fer2013: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    make_tiny(tiny_fer2013, out)
    manifest = Bundle.load(out / "tiny").manifest
    assert {one.file for one in manifest.files} == {"model.int8.tflite", "model.int8.onnx"}
    assert max(one.size_mb for one in manifest.files) <= 0.1
    assert manifest.temperature != 1.0
    assert manifest.provenance["training"]["command"].count("--teacher") == 3
    again = make_tiny(tiny_fer2013, out)
    assert "edge_fer train" not in again
    assert "edge_fer quantize" not in again
