import numpy as np
import pytest
import torch
from torch import nn

from edge_fer.data.faces import Faces
from edge_fer.labels import FER2013_LABELS
from edge_fer.models import MODELS, ModelEntry


class Tiny(nn.Module):
    """Has what makes a run hard to resume: batch norm, dropout, several kinds of weights."""

    def __init__(self, num_classes: int, in_channels: int = 1) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 3, stride=4, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, stride=2, groups=6),
            nn.Conv2d(6, 8, 3),
            nn.ReLU(),
            nn.Dropout(0.3),
        )
        self.classifier = nn.Linear(8, num_classes)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x_NCHW).mean((2, 3)))


@pytest.fixture(autouse=True)
def tiny_model(monkeypatch):
    """A model "tiny" in the zoo, on one thread of the CPU."""
    entry = ModelEntry(build=Tiny, input_chw=(1, 48, 48), face="", source="this test")
    monkeypatch.setitem(MODELS, "tiny", entry)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_faces(count, seed):
    """Dark faces are angry, bright ones happy."""
    rng = np.random.default_rng(seed)
    bright_N = rng.random(count) < 0.5
    level_N11 = np.where(bright_N, 160, 40)[:, None, None]
    images_NHW = (level_N11 + rng.integers(0, 60, (count, 48, 48))).astype(np.uint8)
    return Faces(
        images_NHW=images_NHW,
        labels_N=np.where(bright_N, 3, 0).astype(np.int64),
        label_names=FER2013_LABELS,
        source="made:up",
    )


@pytest.fixture(scope="session")
def train_faces():
    return make_faces(40, seed=1)


@pytest.fixture(scope="session")
def validation_faces():
    return make_faces(24, seed=2)
