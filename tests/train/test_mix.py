import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Generator

from edge_fer.train.config import Stage
from edge_fer.train.mix import mix


def batch(n=6, side=8):
    """Images of one value each, which is also the place of the 1 in their targets."""
    x_NCHW = torch.arange(n).float().view(n, 1, 1, 1).expand(n, 1, side, side).clone()
    return x_NCHW, torch.eye(n)


@given(st.integers(0, 1000), st.sampled_from(["mixup", "cutmix"]))
def test_targets_are_mixed_as_the_pixels_are(seed, way):
    settings = {"mixup": 0.0, "cutmix": 0.0, way: 1.0}
    x_NCHW, targets_NK = batch()
    mixed_NCHW, mixed_NK = mix(
        x_NCHW, targets_NK, Stage(mix=1.0, **settings), Generator().manual_seed(seed)
    )
    values_K = torch.arange(6).float()
    assert torch.allclose(mixed_NCHW.mean((1, 2, 3)), mixed_NK @ values_K, atol=1e-5)
    assert torch.allclose(mixed_NK.sum(1), torch.ones(6))
    assert mixed_NK.min() >= 0


def test_cutmix_pastes_and_mixup_blends():
    x_NCHW, targets_NK = batch()
    pasted, _ = mix(x_NCHW, targets_NK, Stage(mix=1.0, mixup=0.0), Generator().manual_seed(4))
    assert set(pasted.unique().tolist()) <= set(range(6))
    assert len(pasted[1].unique()) == 2
    blended, _ = mix(x_NCHW, targets_NK, Stage(mix=1.0, cutmix=0.0), Generator().manual_seed(4))
    assert all(len(image.unique()) == 1 for image in blended)


@pytest.mark.parametrize("stage", [Stage(mix=0.0), Stage(mix=1.0, mixup=0.0, cutmix=0.0)])
def test_nothing_is_mixed_where_nothing_is_asked(stage):
    x_NCHW, targets_NK = batch()
    same_NCHW, same_NK = mix(x_NCHW, targets_NK, stage, Generator().manual_seed(0))
    assert torch.equal(same_NCHW, x_NCHW)
    assert torch.equal(same_NK, targets_NK)


def test_a_share_of_the_batches_is_mixed():
    x_NCHW, targets_NK = batch()
    stage = Stage(mix=0.3)
    mixed = sum(
        not torch.equal(mix(x_NCHW, targets_NK, stage, Generator().manual_seed(s))[1], targets_NK)
        for s in range(400)
    )
    assert 80 < mixed < 160


def test_the_same_seed_mixes_the_same():
    first, second = (mix(*batch(), Stage(mix=1.0), Generator().manual_seed(7))[0] for _ in range(2))
    assert torch.equal(first, second)
