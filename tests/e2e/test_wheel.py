"""The wheel alone, in a clean environment: what a Raspberry Pi gets."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel
ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


def _checked(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def _environment(folder: Path, *requirements: object) -> Path:
    _checked(sys.executable, "-m", "venv", folder)
    constraints = ROOT / "constraints.txt"
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet")
    _checked(*pip, "--constraint", constraints, *requirements)
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _checked(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _environment(tmp_path_factory.mktemp("clean") / "venv", wheel)


def _run(environment: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the installed command as a person who has fetched nothing yet."""
    command = [str(part) for part in (environment / "bin" / "edge-fer", *arguments)]
    variables = {**os.environ, "XDG_CACHE_HOME": str(environment / "cache")}
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env=variables)


def test_wheel_is_small_and_holds_no_training_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {entry.filename: entry.compress_size for entry in archive.infolist()}
    networks = sum(size for name, size in packed.items() if name.startswith("edge_fer/bundles/"))
    assert networks < 4_000_000
    assert wheel.stat().st_size - networks < 800_000


def test_training_frameworks_are_absent(clean: Path) -> None:
    done = subprocess.run(
        [clean / "bin" / "pip", "list"], capture_output=True, text=True, check=True
    )
    installed = {line.split()[0].lower() for line in done.stdout.splitlines() if line}
    assert "edge-fer" in installed
    assert not installed & {"torch", "tensorflow", "jax", "onnx", "onnxruntime", "nncf"}


def test_help(clean: Path) -> None:
    done = _run(clean, "--help")
    assert done.returncode == 0
    assert "quantize" in done.stdout


def test_reads_a_photo(clean: Path, astronaut: Path) -> None:
    done = _run(clean, "run", astronaut, "--json")
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    assert face["label"] == "happy"
    assert len(face["landmarks"]) == 5


def test_bench_measures_litert_and_skips_the_rest(clean: Path) -> None:
    done = _run(clean, "bench", "--rounds", "2", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {row["engine"] for row in document["rows"]} == {"litert"}
    assert any("onnxruntime: not installed" in line for line in document["skipped"])


@pytest.mark.parametrize("command", ["train", "quantize"])
def test_host_commands_name_the_extra(clean: Path, command: str) -> None:
    arguments = {
        "train": ("arch-1", "--data", "fer2013:x", "--out", "/tmp/x"),
        "quantize": ("x.safetensors", "--calibration", "photos:x", "--out", "/tmp/x"),
    }[command]
    done = _run(clean, command, *arguments)
    assert done.returncode == 2
    assert "pip install 'edge-fer[" in done.stderr


def test_recipes_and_targets_are_inside(clean: Path) -> None:
    program = (
        "from edge_fer.resources import FOLDERS, find_resource, resource_names;"
        "print(all(find_resource(k, n).exists() for k in FOLDERS for n in resource_names(k)),"
        "resource_names('recipe'), resource_names('target'), resource_names('bundle'))"
    )
    command = [clean / "bin" / "python", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.startswith("True")
    for name in ("static_wi8_ai8", "generic-aarch64", "small"):
        assert name in done.stdout


def test_opencv_5(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, astronaut: Path, yunet_file: Path
) -> None:
    folder = _environment(tmp_path_factory.mktemp("opencv5") / "venv", wheel)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps")
    _checked(*pip, "opencv-python-headless>=5,<6")
    refused = _run(folder, "run", astronaut, "--detector", "haar")
    assert refused.returncode == 2
    assert "no Haar cascades" in refused.stderr
    for detector in ("auto", "edge-fer:160", f"yunet:{yunet_file}"):
        done = _run(folder, "run", astronaut, "--json", "--detector", detector)
        assert done.returncode == 0, done.stderr
        assert "happy" in [face["label"] for face in json.loads(done.stdout)["faces"]]
