"""One command trains the shipped models from scratch: teachers first, then the larger ones."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_fer.bundle import Bundle
from edge_fer.labels import EXPRESSIONS, FERPLUS_COLUMNS

ZOO = Path(__file__).parents[2] / "benchmarks" / "zoo"


@pytest.fixture
def voted_fer2013(tmp_path: Path) -> Path:
    """Noise in FER2013's splits: 48, 16 and 16 faces, and on each ten people of one mind."""
    rng, count = np.random.default_rng(0), 80
    file = tmp_path / "fer2013.npz"
    np.savez(
        file,
        images=rng.integers(0, 256, (count, 48, 48), np.uint8),
        labels=np.arange(count, dtype=np.uint8) % 7,
        usage=np.repeat(np.arange(3, dtype=np.uint8), (48, 16, 16)),
        ferplus_votes=10 * np.eye(10, dtype=np.uint8)[np.arange(count) % 8],
        ferplus_columns=np.array(FERPLUS_COLUMNS),
    )
    return file


def make_three(data: Path, out: Path) -> str:
    command = ["make", "-j", "2", "-C", ZOO, "tiny", "base", "small-ferplus"]
    command += [f"DATA=fer2013:{data}", f"OUT={out}", f"EDGE_FER={sys.executable} -m edge_fer"]
    command += ["ARGS=--epochs 1 --batch-size 16 --threads 1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_three_are_cut_trained_fitted_and_quantized(voted_fer2013: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    make_three(voted_fer2013, out)
    tiny, base, voted = (
        Bundle.load(out / name).manifest for name in ("tiny", "base", "small-ferplus")
    )
    for manifest in (tiny, base, voted):
        assert {one.file for one in manifest.files} == {"model.int8.tflite", "model.int8.onnx"}
        assert manifest.provenance["temperature_fitted"]["n"] == 16
        assert manifest.temperature != 1.0
    assert tiny.provenance["classes_fitted"]["n"] == 16
    assert voted.provenance["classes_fitted"] is None
    assert max(one.size_mb for one in tiny.files) <= 0.1
    assert tiny.provenance["training"]["command"].count("--teacher") == 3
    assert max(one.size_mb for one in base.files) <= 1.2
    assert base.provenance["training"]["command"].count("--teacher") == 4
    assert "--seed 2" in base.provenance["training"]["command"]
    assert voted.labels == EXPRESSIONS
    assert "ferplus" in voted.provenance["training"]["data"]
    assert voted.provenance["training"]["command"].count("--teacher") == 1
    again = make_three(voted_fer2013, out)
    assert "edge_fer train" not in again
    assert "edge_fer quantize" not in again
