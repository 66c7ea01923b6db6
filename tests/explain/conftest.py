"""Networks whose heat is known, and a run of ``part-ensemble`` as training leaves it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from edge_fer.labels import FER2013_LABELS
from edge_fer.models import MODELS, build_model
from edge_fer.train.checkpoint import save_checkpoint
from edge_fer.train.folder import BEST_FILE, HEADS_FILE, LANDMARKS_FILE
from edge_fer.train.trainee import Localising


class Mask(nn.Module):
    """Keeps the left half of channel 0 and the right half of channel 1."""

    def forward(self, x_NCHW):
        half = x_NCHW.shape[3] // 2
        kept = torch.zeros_like(x_NCHW)
        kept[:, 0, :, :half] = x_NCHW[:, 0, :, :half]
        kept[:, 1, :, half:] = x_NCHW[:, 1, :, half:]
        return kept


class Halves(nn.Module):
    """Logit 0 is the mean of the left half of the input, logit 1 that of the right half."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(1, 2, 1, bias=False)
        nn.init.ones_(self.maps.weight)
        self.mask = Mask()
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Linear(2, 2, bias=False)
        nn.init.eye_(self.head.weight)

    def forward(self, x_NCHW):
        return self.head(self.pool(self.mask(self.maps(x_NCHW))).mean((2, 3)))


class Shared(nn.Module):
    """One ReLU for all layers, in place or not, and a sum in place."""

    def __init__(self, inplace):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=inplace)
        self.head = nn.Linear(4, 3)
        self.inplace = inplace

    def forward(self, x_NCHW):
        out_NCHW = self.second(self.relu(self.first(x_NCHW)))
        return self.head(self.relu(out_NCHW).mean((2, 3)))


@pytest.fixture
def halves():
    return Halves().eval()


@pytest.fixture
def part_ensemble_metadata():
    entry = MODELS["part-ensemble"]
    return {
        "model": "part-ensemble",
        "options": {},
        "labels": FER2013_LABELS,
        "input_nchw": [1, *entry.input_chw],
        "preprocessing": entry.preprocessing.to_dict(),
    }


def _set_last_features(network, value):
    """Makes an extractor answer with 128 times ``value``."""
    norm = network.extractor[25]
    nn.init.zeros_(norm.weight)
    nn.init.constant_(norm.bias, value)


def _set_head(head):
    """Makes a head answer (0.25, 0.5) to features of 0 and (0.25, 0.75) to features of 1."""
    first, _, last = head
    nn.init.eye_(first.weight)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.weight[1::2], 0.25 / 128)
    nn.init.constant_(last.bias[0::2], 0.25)
    nn.init.constant_(last.bias[1::2], 0.5)


@pytest.fixture
def part_ensemble_run(tmp_path: Path, part_ensemble_metadata) -> Path:
    """Every landmark is at (0.25, 0.5) before, and at (0.25, 0.75) after fine-tuning."""
    torch.manual_seed(0)
    run = tmp_path / "run"
    ensemble = build_model("part-ensemble", num_classes=7)
    for file, features in ((LANDMARKS_FILE, 0.0), (BEST_FILE, 1.0)):
        for network in ensemble.networks.values():
            _set_last_features(network, features)
        save_checkpoint(run / file, ensemble.state_dict(), part_ensemble_metadata)
    heads = Localising(ensemble).heads
    for head in heads.values():
        _set_head(head)
    save_checkpoint(run / HEADS_FILE, heads.state_dict(), part_ensemble_metadata)
    return run
