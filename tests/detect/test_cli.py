"""A detector trained through the command line."""

import json
import os
import subprocess
import sys

import pytest

from edge_fer.train.checkpoint import load_checkpoint

LITTLE = ["scenes=8", "checked=2"]


def train(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "edge_fer", "train", "face-detector", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "EDGE_FER_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.data
def test_a_detector_is_trained(some_photos, yunet_file):
    options = [part for text in LITTLE for part in ("--option", text)]
    arguments = ["--data", "detect:.", "--teacher", yunet_file, "--out", "run", *options]
    done = train(some_photos, *arguments, "--epochs", 1, "--batch-size", 4, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    metadata = load_checkpoint(some_photos / result["best"]).metadata
    assert (metadata["model"], metadata["task"]) == ("face-detector", "detect")
    assert metadata["config"]["recipe"] == "face-detector"
    assert metadata["metrics"]["validation_ap"] == result["best_ap"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "detect:."], "give --teacher YUNET.onnx"),
        (["--data", "detect:.", "--teacher", "y.onnx"], "none of facemask853.zip"),
    ],
)
def test_bad_use_ends_in_one_line(tmp_path, arguments, message):
    done = train(tmp_path, *arguments, "--out", "run")
    assert done.returncode == 2
    assert message in done.stderr.strip().splitlines()[-1]
    assert len(done.stderr.strip().splitlines()) == 1
