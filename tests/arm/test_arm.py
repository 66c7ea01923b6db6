"""The device part on emulated processors: what is read there is what is read here."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge_fer.bundle import Bundle
from tests.arm.conftest import Machine
from tests.arm.read_faces import read_faces

pytestmark = pytest.mark.arm
#: Of the INT8 output's scale.
STEPS = 1
SAME_LABELS = 0.99
SAME_LOGITS = 0.98
VNNI = ("avx512_vnni", "avx_vnni")


@pytest.fixture(scope="session")
def expected(faces: np.ndarray) -> dict[str, np.ndarray]:
    """Logits by engine, as this machine reads them."""
    return read_faces(faces)


@pytest.fixture(scope="session")
def found(machine: Machine, faces: np.ndarray) -> dict[str, np.ndarray]:
    """Logits by engine, as the emulated machine reads them."""
    work = machine.shared / "shared"
    np.save(work / "faces.npy", faces)
    done = machine.run(
        "python3", "/shared/read_faces.py", "/shared/faces.npy", "/shared/logits.npz"
    )
    assert done.returncode == 0, done.stderr
    with np.load(work / "logits.npz") as logits:
        return dict(logits)


@pytest.fixture
def photo(machine: Machine, astronaut: Path) -> str:
    shutil.copyfile(astronaut, machine.shared / "shared/photo.png")
    return "/shared/photo.png"


def test_the_processor_is_the_one_it_should_be(machine):
    done = machine.run("python3", "/shared/dot_product.py")
    assert (done.returncode == 0) == machine.core.dot_products
    assert ("Illegal instruction" in done.stderr) != machine.core.dot_products


@pytest.mark.parametrize(
    ("engine", "file"), [("litert", "model.int8.tflite"), ("onnxruntime", "model.int8.onnx")]
)
def test_int8_is_the_same_within_a_step(found, expected, shipped_bundle, engine, file):
    if engine == "onnxruntime" and not any(
        flag in Path("/proc/cpuinfo").read_text() for flag in VNNI
    ):
        pytest.skip("an x86 without VNNI, where sums of INT8 products saturate in ONNX Runtime")
    files = Bundle.load(shipped_bundle).manifest.files
    (scale,) = {one.output.scale for one in files if one.file == file}
    here, there = expected[engine], found[engine]
    np.testing.assert_allclose(there, here, rtol=0, atol=STEPS * scale * 1.001)
    assert np.mean(there.argmax(1) == here.argmax(1)) >= SAME_LABELS
    assert np.mean(there == here) >= SAME_LOGITS


def test_help(machine):
    done = machine.edge_fer("--help")
    assert done.returncode == 0, done.stderr
    assert "quantize" in done.stdout


def test_a_photo_is_read(machine, photo):
    done = machine.edge_fer("run", photo, "--json")
    assert done.returncode == 0, done.stderr
    assert [face["label"] for face in json.loads(done.stdout)["faces"]] == ["happy"]


def test_doctor_knows_what_it_is_on(machine):
    done = machine.edge_fer("doctor", "--json")
    document = json.loads(done.stdout)
    checks = {check["name"]: check for check in document["checks"]}
    assert document["device"]["target"] == "generic-aarch64"
    assert checks["emulation"]["status"] == "warn"
    for name in ("system", "engines", "opencv", "bundle"):
        assert checks[name]["status"] == "ok", checks[name]
    assert done.returncode == 0


def test_bench_tells_no_speed(machine):
    short = ("--rounds", "1", "--inferences", "5", "--starts", "1", "--threads", "1")
    document = json.loads(machine.edge_fer("bench", *short, "--json").stdout)
    assert {row["engine"] for row in document["rows"]} == {"litert", "onnxruntime"}
    assert [row["fps"] for row in document["rows"]] == [None, None]
    assert document["machine"]["emulated"] is True
    assert any(line.startswith("emulated machine") for line in document["warnings"])
