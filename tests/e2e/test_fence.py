"""The device fence: the command line runs a bundle where no training framework can be imported."""

import subprocess
import sys
from pathlib import Path

import pytest

BLOCKED = ("torch", "tensorflow", "nncf", "jax", "onnx", "litert_torch", "ai_edge_quantizer")
PROGRAM = """
import sys

class Fence:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError("the device has no " + name, name=name)

sys.meta_path.insert(0, Fence())
sys.argv = {arguments}
from edge_fer.cli import main
main()
"""


def _run_fenced(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(blocked=set(BLOCKED), arguments=["edge-fer", *arguments])
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.device
@pytest.mark.parametrize(
    "arguments", [("--help",), ("bench", "--rounds", "1", "--threads", "1", "--json")]
)
def test_runs_without_training_frameworks(arguments: tuple[str, ...]) -> None:
    done = _run_fenced(*arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.device
def test_reads_a_photo_without_training_frameworks(astronaut: Path) -> None:
    done = _run_fenced("run", str(astronaut))
    assert done.returncode == 0, done.stderr
    assert "happy" in done.stdout


@pytest.mark.device
def test_evaluates_a_bundle_without_training_frameworks(
    shipped_bundle: Path, tiny_fer2013: Path
) -> None:
    done = _run_fenced("evaluate", str(shipped_bundle), "--data", f"fer2013:{tiny_fer2013}")
    assert done.returncode == 0, done.stderr
    assert "model.int8.tflite" in done.stdout


@pytest.mark.device
def test_audits_a_tflite_without_training_frameworks(shipped_bundle: Path) -> None:
    done = _run_fenced("audit", str(shipped_bundle / "model.int8.tflite"), "--strict")
    assert done.returncode == 0, done.stderr
    assert "no errors" in done.stdout


@pytest.mark.device
def test_auditing_onnx_without_onnx_names_the_extra(shipped_bundle: Path) -> None:
    done = _run_fenced("audit", str(shipped_bundle / "model.int8.onnx"))
    assert done.returncode == 2
    assert "edge-fer[quantize]" in done.stderr


def test_the_fence_of_this_test_holds(tiny_fer2013: Path) -> None:
    data = f"fer2013:{tiny_fer2013}"
    done = _run_fenced("train", "arch-1", "--data", data, "--out", str(tiny_fer2013.parent / "r"))
    assert done.returncode == 2
    assert "edge-fer[train]" in done.stderr


def test_training_needs_torch_and_little_else(tiny_fer2013: Path) -> None:
    arguments = ["edge-fer", "train", "arch-1", "--data", f"fer2013:{tiny_fer2013}", "--quiet"]
    arguments += ["--out", str(tiny_fer2013.parent / "r"), "--epochs", "1", "--batch-size", "16"]
    program = (
        f"import sys; sys.argv = {arguments}\n"
        "from edge_fer.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'cv2', 'onnx', 'ai_edge_litert', 'litert_torch'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_imports_no_heavy_module() -> None:
    program = (
        "import sys; import edge_fer.cli;"
        "heavy = {'numpy', 'cv2', 'torch', 'ai_edge_litert', 'matplotlib', 'jinja2'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
