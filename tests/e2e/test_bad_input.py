"""Bad input: one clear line on standard error, exit code 2, no traceback, nothing left behind."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli


def _refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("... ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("edge-fer: ")
    for word in words:
        assert word in lines[0]


def test_missing_photo(cli: Cli) -> None:
    _refused(cli("run", "nothing.jpg"), "nothing.jpg", "no such file")


@pytest.mark.parametrize("name", ["text.jpg", "text.mp4", "text.gif"])
def test_text_file_with_a_picture_s_name(cli: Cli, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("not a picture\n")
    _refused(cli("run", name), name)


def test_empty_folder(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    _refused(cli("run", "photos"), "photos", "no photos")


@pytest.mark.parametrize("camera", ["/dev/video97", "97", "picamera2"])
def test_missing_camera(cli: Cli, camera: str) -> None:
    _refused(cli("run", camera), "no", "camera")


@pytest.mark.parametrize("size", [0, 7, 1000, 300_000])
def test_truncated_tflite(cli: Cli, tmp_path: Path, shipped_bundle: Path, size: int) -> None:
    content = (shipped_bundle / "model.int8.tflite").read_bytes()
    (tmp_path / "short.tflite").write_bytes(content[:size])
    _refused(cli("bench", "short.tflite"), "short.tflite")


def test_truncated_onnx(cli: Cli, tmp_path: Path, shipped_bundle: Path) -> None:
    content = (shipped_bundle / "model.int8.onnx").read_bytes()
    (tmp_path / "short.onnx").write_bytes(content[:1000])
    _refused(cli("bench", "short.onnx"), "short.onnx")


@pytest.mark.parametrize("command", ["run", "bench"])
def test_manifest_with_one_byte_changed(
    cli: Cli, tmp_path: Path, shipped_bundle: Path, astronaut: Path, command: str
) -> None:
    shutil.copytree(shipped_bundle, tmp_path / "bundle")
    manifest = tmp_path / "bundle" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"happy", b"hippy", 1))
    arguments = (
        ["bench", "bundle"] if command == "bench" else ["run", astronaut, "--bundle", "bundle"]
    )
    _refused(cli(*arguments), "manifest.json", "changed")


def test_unknown_model_name(cli: Cli, tiny_fer2013: Path) -> None:
    done = cli("train", "arch-99", "--data", f"fer2013:{tiny_fer2013}", "--out", "run")
    _refused(done, "arch-99", "arch-1")


def test_unknown_dataset(cli: Cli) -> None:
    _refused(cli("train", "arch-1", "--data", "faces:x.csv", "--out", "run"), "faces", "fer2013")


def test_existing_output_is_kept_without_force(cli: Cli, tmp_path: Path, astronaut: Path) -> None:
    kept = tmp_path / "kept.png"
    kept.write_text("precious")
    _refused(cli("run", astronaut, "--record", kept), "kept.png", "--force")
    assert kept.read_text() == "precious"


def test_standard_output_on_a_full_disk(cli: Cli, astronaut: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    script = tmp_path / "full.sh"
    script.write_text('exec "$@" > /dev/full\n')
    import sys

    done = subprocess.run(
        ["sh", script, sys.executable, "-m", "edge_fer.cli", "run", astronaut, "--json", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    _refused(done, "No space left on device")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "folder"])
def test_recording_on_a_full_disk(cli: Cli, full_disk: Path, astronaut: Path, name: str) -> None:
    done = cli("run", astronaut, "--record", full_disk / name, "--quiet")
    _refused(done, name)
    assert not [path for path in full_disk.rglob("*") if path.is_file()]


def test_bundle_on_a_full_disk(
    cli: Cli, full_disk: Path, astronaut: Path, trained_checkpoint: Path
) -> None:
    out = full_disk / "bundle"
    done = cli("quantize", trained_checkpoint, "--calibration", f"photos:{astronaut}", "--out", out)
    _refused(done, "bundle", "No space left on device")
    assert not list(full_disk.iterdir())
