"""Fixtures: real data where it is, generated data everywhere."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from edge_fer.resources import find_resource

os.environ.setdefault("TORCH_EXTENSIONS_DIR", "/tmp/edge-fer-torch-extensions")

# A shell lets what it starts in the background ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_root() -> Path:
    root = Path(os.environ.get("EDGE_FER_DATA", "EDGE_FER_DATA is not set"))
    if not root.is_dir():
        pytest.skip(f"no real data: {root} (set EDGE_FER_DATA)")
    return root


def _existing(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"no real data: {path} is missing")
    return path


@pytest.fixture(scope="session")
def fer2013_file(data_root: Path) -> Path:
    return _existing(data_root / "fer2013" / "fer2013.npz")


@pytest.fixture(scope="session")
def yunet_file(data_root: Path) -> Path:
    return _existing(data_root / "models" / "face_detection_yunet_2023mar.onnx")


@pytest.fixture(scope="session")
def demo_gif(data_root: Path) -> Path:
    return _existing(data_root / "demo" / "head-pose-face-detection-male.gif")


@pytest.fixture(scope="session")
def shipped_bundle() -> Path:
    """The INT8 bundle inside the package."""
    return find_resource("bundle", "small")


@pytest.fixture(scope="session")
def shipped_checkpoint() -> Path:
    """What the shipped bundle was made of."""
    return Path(__file__).parents[1] / "benchmarks/training/resnet-small-stride-1/best.safetensors"


@pytest.fixture(scope="session")
def trained_checkpoint() -> Path:
    """A trained ARCH-1."""
    return Path(__file__).parents[1] / "benchmarks/training/arch-1-taught/best.safetensors"


@pytest.fixture(scope="session")
def bundle_dir(trained_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of all four files, calibrated on noise."""
    from edge_fer.compress.quantize import Request, quantize
    from edge_fer.compress.recipe import read_recipe

    folder = tmp_path_factory.mktemp("bundle")
    noise = _write_noise(folder / "fer2013.csv", {"Training": 20})
    request = Request(
        checkpoint=trained_checkpoint,
        recipe=read_recipe(find_resource("recipe", "static_wi8_ai8")),
        calibration=f"fer2013:{noise}",
        out=folder / "arch-1",
    )
    quantize(request, lambda _: None)
    return request.out


@pytest.fixture(scope="session")
def astronaut() -> Path:
    skimage = pytest.importorskip("skimage", reason="the photo is inside scikit-image")
    return _existing(Path(skimage.__file__).parent / "data" / "astronaut.png")


def _write_noise(file: Path, counts: dict[str, int]) -> Path:
    rng = np.random.default_rng(0)
    rows = ["emotion,pixels,Usage"]
    for split, count in counts.items():
        for index in range(count):
            pixels = " ".join(str(value) for value in rng.integers(0, 256, 48 * 48))
            rows.append(f"{index % 7},{pixels},{split}")
    file.write_text("\n".join(rows) + "\n")
    return file


@pytest.fixture
def tiny_fer2013(tmp_path: Path) -> Path:
    """A CSV in the official layout, of noise: 48 Training, 16 PublicTest, 16 PrivateTest faces."""
    counts = {"Training": 48, "PublicTest": 16, "PrivateTest": 16}
    return _write_noise(tmp_path / "fer2013.csv", counts)


@pytest.fixture
def one_step_fer2013(tmp_path: Path) -> Path:
    """As ``tiny_fer2013``, but just enough for one step of four images."""
    return _write_noise(tmp_path / "fer2013.csv", {"Training": 4, "PublicTest": 4})
