"""The whole product on real faces: quantize, bench, run; and training through the command line."""

import json
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_fer.bundle import Bundle
from edge_fer.compress.audit import audit_int8
from edge_fer.data.spec import read_faces
from edge_fer.evaluate.predict import engine_logits, torch_logits
from edge_fer.export.onnx_graph import summarise_onnx
from edge_fer.graph import summarise_tflite
from edge_fer.runtime.classifier import softmax
from edge_fer.runtime.engines import load_engine
from edge_fer.train.checkpoint import load_checkpoint
from tests.e2e.conftest import CHECKPOINT, Cli

ENGINE = {"tflite": "litert", "onnx": "onnxruntime"}
TOTAL_PARAMS = 293_951
MACS = 27_025_920
LABELS = {"angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Bundle:
    out = tmp_path_factory.mktemp("bundle") / "from-photo"
    command = [sys.executable, "-m", "edge_fer.cli", "quantize", CHECKPOINT, "--out", out, "--json"]
    command += ["--calibration", f"photos:{astronaut}", "--max-drop", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "edge-fer/quantize/1"
    assert {row["file"] for row in document["rows"]} == {
        f"model.{precision}.{format_}" for precision in ("fp32", "int8") for format_ in ENGINE
    }
    return Bundle.load(out)


def test_bundle_counts_what_the_paper_counts(bundle: Bundle) -> None:
    assert (bundle.manifest.params, bundle.manifest.macs) == (TOTAL_PARAMS, MACS)
    assert bundle.manifest.flops == 2 * MACS
    assert {model_file.macs for model_file in bundle.manifest.files} == {MACS}


def test_int8_files_are_integer_through_and_through(bundle: Bundle) -> None:
    tflite = bundle.contents["model.int8.tflite"]
    assert audit_int8(summarise_tflite(tflite, "t")) == []
    assert audit_int8(summarise_onnx(bundle.contents["model.int8.onnx"], "o")) == []
    assert len(tflite) <= 400_000


def test_int8_input_is_the_pixel_itself(bundle: Bundle) -> None:
    tensors = {f.file: f.input for f in bundle.manifest.files if f.precision == "int8"}
    tflite, onnx = tensors["model.int8.tflite"], tensors["model.int8.onnx"]
    assert (tflite.dtype, tflite.scale, tflite.zero_point) == ("int8", 1 / 128, 0)
    assert (onnx.dtype, onnx.scale, onnx.zero_point) == ("uint8", 1 / 128, 128)


@pytest.mark.data
def test_same_face_same_probabilities_in_every_float_format(
    bundle: Bundle, fer2013_file: Path
) -> None:
    images = read_faces(f"fer2013:{fer2013_file}", "PublicTest").images_NHW[:200]
    loaded = load_checkpoint(CHECKPOINT)
    expected = softmax(torch_logits(loaded.network, images, loaded.preprocessing))
    for format_, engine in ENGINE.items():
        name = f"model.fp32.{format_}"
        loaded_engine = load_engine(engine, bundle.contents[name], name)
        found = softmax(engine_logits(loaded_engine, images, bundle.manifest.preprocessing))
        assert np.abs(found - expected).max() <= 1e-4


@pytest.mark.data
@pytest.mark.slow
def test_shipped_int8_is_as_accurate_as_its_manifest_says(
    cli: Cli, shipped_bundle: Path, fer2013_file: Path
) -> None:
    done = cli("evaluate", shipped_bundle, "--data", f"fer2013:{fer2013_file}", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "edge-fer/evaluate/1"
    stated = {f.file: f.accuracy for f in Bundle.load(shipped_bundle).manifest.files}
    for result in document["results"]:
        assert result["n"] == 3589
        assert result["accuracy"] >= 0.68
        written = stated[result["file"]]
        assert written is not None
        assert result["accuracy"] == pytest.approx(written["accuracy"], abs=0.002)
        assert abs(result["accuracy"] - written["float_accuracy"]) <= 0.005


def test_shipped_bundle_is_small_and_says_where_it_comes_from(
    shipped_bundle: Path, shipped_checkpoint: Path
) -> None:
    assert sum(file.stat().st_size for file in shipped_bundle.iterdir()) < 1_000_000
    manifest = Bundle.load(shipped_bundle).manifest
    checkpoint = sha256(shipped_checkpoint.read_bytes()).hexdigest()
    assert manifest.provenance["checkpoint_sha256"] == checkpoint
    assert manifest.provenance["training"]["data"] == "fer2013"
    assert "edge-fer train" in manifest.provenance["training"]["command"]
    assert "288" in manifest.licences["data"]
    for model_file in manifest.files:
        assert model_file.accuracy is not None
        assert model_file.accuracy["n_without_leaks"] == 3589 - 288


def test_bench_document(cli: Cli, bundle: Bundle) -> None:
    arguments = ("--rounds", 2, "--inferences", 5, "--threads", "1,2", "--json")
    arguments += ("--engine", "litert,onnxruntime")
    done = cli("bench", bundle.path, bundle.path / "model.int8.tflite", *arguments)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "edge-fer/bench/1"
    assert len(document["rows"]) == 10
    for row in document["rows"]:
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
        assert row["fps"] == pytest.approx(1e3 / row["p50_ms"])
        assert (row["macs"], row["flops"]) == (MACS, 2 * MACS)
        assert row["rss_mb"] > 20
    bare = next(row for row in document["rows"] if row["file"] == "model.int8.tflite")
    assert bare["precision"] == "int8"


def _frames(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _check_frame(frame: dict[str, Any], width: int, height: int) -> None:
    stages = ["capture", "detect", "track", "preprocess", "classify", "post", "total"]
    assert list(frame["latency_ms"]) == stages
    *parts, total = frame["latency_ms"].values()
    assert sum(parts) == pytest.approx(total, abs=0.02)
    for face in frame["faces"]:
        assert set(face["probabilities"]) == LABELS
        assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert face["score"] == max(face["probabilities"].values())
        x, y, w, h = face["box"]
        assert -w < x < width
        assert -h < y < height


def test_run_reads_a_smile(cli: Cli, tmp_path: Path, bundle: Bundle, astronaut: Path) -> None:
    record = tmp_path / "annotated.png"
    done = cli("run", astronaut, "--bundle", bundle.path, "--json", "--record", record)
    assert done.returncode == 0, done.stderr
    (frame,) = _frames(done.stdout)
    _check_frame(frame, 512, 512)
    assert [face["label"] for face in frame["faces"]] == ["happy"]
    picture, photo = cv2.imread(str(record)), cv2.imread(str(astronaut))
    assert picture.shape == photo.shape
    assert (picture != photo).any()


@pytest.mark.data
@pytest.mark.parametrize("engine", ["litert", "onnxruntime"])
def test_run_follows_a_face_through_a_clip(
    cli: Cli, tmp_path: Path, demo_gif: Path, yunet_file: Path, engine: str
) -> None:
    record = tmp_path / "annotated.mp4"
    arguments = ("--detector", f"yunet:{yunet_file}", "--engine", engine, "--record", record)
    done = cli("run", demo_gif, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    frames = _frames(done.stdout)
    assert [frame["frame"] for frame in frames] == list(range(len(frames)))
    assert len(frames) > 50
    for frame in frames:
        _check_frame(frame, 480, 270)
    seen = [frame for frame in frames if frame["faces"]]
    assert len(seen) > 0.9 * len(frames)
    assert {face["id"] for frame in seen for face in frame["faces"]} == {0}
    times = [frame["t"] for frame in frames]
    assert times == sorted(times)
    assert cv2.VideoCapture(str(record)).get(cv2.CAP_PROP_FRAME_COUNT) == len(frames)


def test_run_over_a_folder_writes_a_folder(cli: Cli, tmp_path: Path, astronaut: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("b.png", "a.png"):
        (folder / name).write_bytes(astronaut.read_bytes())
    done = cli("run", folder, "--record", tmp_path / "out", "--json")
    assert [frame["file"] for frame in _frames(done.stdout)] == ["a.png", "b.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_a_failed_gate_exits_1(cli: Cli, astronaut: Path, tmp_path: Path) -> None:
    arguments = ("--calibration", f"photos:{astronaut}", "--out", tmp_path / "b")
    done = cli("quantize", CHECKPOINT, *arguments, "--max-drop", "-200")
    assert done.returncode == 1
    assert "--max-drop" in done.stderr


def _train(data: Path, out: Path, *extra: str) -> list[str]:
    command = [sys.executable, "-m", "edge_fer.cli", "train", "arch-1", "--data", f"fer2013:{data}"]
    command += ["--out", str(out), "--epochs", "6", "--batch-size", "8", "--precision", "float32"]
    return [*command, "--threads", "1", *extra]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_training_resumes_to_the_same_weights(
    tiny_fer2013: Path, tmp_path: Path, how: signal.Signals
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    subprocess.run(_train(tiny_fer2013, whole, "--quiet"), check=True, capture_output=True)
    environment = {**os.environ, "COLUMNS": "200"}
    command = _train(tiny_fer2013, stopped)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith("train   2"))
        process.send_signal(how)
        process.stderr.read()
    assert process.returncode != 0
    subprocess.run(
        _train(tiny_fer2013, stopped, "--quiet", "--resume"), check=True, capture_output=True
    )
    assert (stopped / "metrics.jsonl").read_text().count("\n") == 6
    first, second = (load_checkpoint(run / "best.safetensors") for run in (whole, stopped))
    for name, tensor in first.network.state_dict().items():
        assert (tensor == second.network.state_dict()[name]).all(), name
