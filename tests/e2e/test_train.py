"""Training through the command line, as people do it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_fer.train.checkpoint import load_checkpoint

TRAIN = [sys.executable, "-m", "edge_fer", "train"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_two_processes_train_one_network(tiny_fer2013: Path) -> None:
    folder = tiny_fer2013.parent
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    arguments = ["arch-1", "--data", f"fer2013:{tiny_fer2013}", "--out", "run", "--json"]
    arguments += ["--epochs", "2", "--batch-size", "16", "--precision", "float32"]
    done = _run([*launch, "-m", "edge_fer", "train", *arguments], folder)
    assert done.returncode == 0, done.stderr
    (result,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    lines = (folder / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]
    assert result["best_accuracy"] == max(json.loads(x)["validation_accuracy"] for x in lines)
    assert load_checkpoint(folder / "run/best.safetensors").metadata["model"] == "arch-1"


@pytest.mark.slow
def test_parts_learn_landmarks_then_expressions(tmp_path: Path) -> None:
    points = [sys.executable, "-m", "edge_fer", "data", "landmarks", "synthetic:42"]
    assert _run([*points, "--out", "points.npz"], tmp_path).returncode == 0
    arguments = ["part-ensemble", "--data", "synthetic:42", "--recipe", "part-ensemble_fer2013"]
    arguments += ["--landmarks", "points.npz", "--input-px", "32", "--epochs", "1"]
    arguments += ["--out", "run", "--batch-size", "8", "--json"]
    done = _run([*TRAIN, *arguments], tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    assert [json.loads(x)["stage"] for x in lines] == ["landmarks", "head", "finetune"]
    assert (tmp_path / "run/landmark-heads.safetensors").is_file()


def test_landmarks_that_are_missing_are_named_with_their_command(tmp_path: Path) -> None:
    arguments = ["part-ensemble", "--data", "synthetic:42", "--recipe", "part-ensemble_fer2013"]
    done = _run([*TRAIN, *arguments, "--out", "run"], tmp_path)
    assert done.returncode == 2
    assert "edge-fer data landmarks synthetic:42" in done.stderr
    assert "Traceback" not in done.stderr
