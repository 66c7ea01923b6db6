import numpy as np
import pytest
import torch
from torch import nn

from edge_fer.models import MODELS, ModelEntry

SWEEP = """
schema = "edge-fer/sweep/1"
model = "tiny"
data = "fer2013:{data}"
precision = "float32"
set = {{ epochs = 2, batch_size = 16, warmup_epochs = 0 }}
"""


class Tiny(nn.Module):
    def __init__(self, num_classes: int, in_channels: int = 1, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, stride=4, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.relu(self.norm(self.conv(x_NCHW))).mean((2, 3)))


@pytest.fixture(autouse=True)
def tiny_model(monkeypatch):
    """Models "tiny" and "tiny-rgb" in the zoo, on one thread of the CPU."""
    for name, channels, side in (("tiny", 1, 48), ("tiny-rgb", 3, 28)):
        entry = ModelEntry(build=Tiny, input_chw=(channels, side, side), face="", source="a test")
        monkeypatch.setitem(MODELS, name, entry)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def write_sweep(tmp_path, tiny_fer2013):
    """``write_sweep("[axes]", "seed = [0, 1]")`` writes a sweep of the tiny model."""

    def write(*lines, head=None):
        file = tmp_path / "made.toml"
        file.write_text(
            (SWEEP if head is None else head).format(data=tiny_fer2013) + "\n".join(lines) + "\n"
        )
        return file

    return write


@pytest.fixture
def flow_npz(tmp_path):
    """Nine clips of three people in three databases; what moves right is positive."""
    rng = np.random.default_rng(0)
    label = np.arange(9) % 3
    flow = rng.integers(100, 156, (9, 28, 28, 3)).astype(np.uint8)
    flow[..., 0] += (40 * label[:, None, None]).astype(np.uint8)
    file = tmp_path / "megc2019_flow28.npz"
    np.savez(
        file,
        flow=flow,
        label=label.astype(np.uint8),
        subject=np.array([f"s{i // 3}" for i in range(9)]),
        dataset=np.array(["casme2", "samm", "smic"])[np.arange(9) // 3],
        name=np.array([f"{i}.jpg" for i in range(9)]),
        label_names=np.array(["negative", "positive", "surprise"]),
    )
    return file
