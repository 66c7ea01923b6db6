"""Every model of the zoo, pruned."""

from functools import cache

import pytest
import torch
from torch import nn

from edge_fer.compress.prune_budget import cost_in
from edge_fer.compress.prune_count import count_left
from edge_fer.compress.prune_coupling import blocks_of
from edge_fer.compress.prune_cut import cut
from edge_fer.compress.prune_importance import magnitude_scores, score_blocks
from edge_fer.compress.prune_request import Method
from edge_fer.compress.prune_selection import removal_order, removed
from edge_fer.compress.prune_slicing import without
from edge_fer.models import MODELS, build_model, find_model
from edge_fer.models.complexity import describe
from edge_fer.train.checkpoint import load_checkpoint, save_checkpoint

#: Part-baseline and part-ftl are part-ensemble's network under another curriculum.
DISTINCT = [name for name in MODELS if name not in ("part-baseline", "part-ftl")]
VARIANTS = [
    *((name, ()) for name in DISTINCT),
    ("patt-lite", (("patches", "attention"), ("attention", "vector"))),
    ("patt-lite", (("patches", "none"), ("attention", "none"))),
]
NAMES = [" ".join((name, *(value for _, value in options))) for name, options in VARIANTS]
#: Of the MACs: a chunk of 8 channels of a narrow network's first layers has up to this share.
TOLERANCE = 0.05


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def input_of(name):
    return (1, *find_model(name).input_chw)


@cache
def whole(name, options=()):
    torch.manual_seed(0)
    network = build_model(name, num_classes=7, **dict(options)).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network


@cache
def blocks(name, options=()):
    return blocks_of(whole(name, options), input_of(name))


@cache
def halved(name):
    cost = cost_in("macs", input_of(name), None)
    limit = cost(whole(name)) / 2
    settings = {"cost": cost, "limit": limit, "unit": "macs", "losses": None}
    return cut(whole(name), input_of(name), Method(), **settings)


def layers(network):
    return {n: m for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=NAMES)
def test_channels_of_zeros_go_without_a_trace(name, options):
    network = whole(name, options)
    network.load_state_dict(_without_values(network, blocks(name, options)))
    scores = score_blocks(blocks(name, options), *2 * [magnitude_scores(network)])
    order = removal_order(scores, 8)
    zeros = [chunk for chunk in order if chunk.rank == 0]
    assert len(zeros) > len(order) / 3
    smaller = without(network, blocks(name, options), removed(zeros, len(scores)))
    x_NCHW = torch.rand(input_of(name)) * 2 - 1
    with torch.no_grad():
        expected_NK, actual_NK = network(x_NCHW), smaller(x_NCHW)
    whole.cache_clear()
    assert expected_NK.std() > 1e-4
    torch.testing.assert_close(actual_NK, expected_NK, rtol=1e-4, atol=1e-5)


def _without_values(network, all_blocks):
    """Weights with zeros in the places of each block's last half."""
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    for block in all_blocks:
        for member in block.members:
            rows = member.places_WP[block.width // 2 :].flatten()
            if member.side == "in":
                weights[f"{member.layer}.weight"][:, rows] = 0
                continue
            for key in ("weight", "bias"):
                if f"{member.layer}.{key}" in weights:
                    weights[f"{member.layer}.{key}"][rows] = 0
    return weights


@pytest.mark.parametrize("name", DISTINCT)
def test_half_of_the_macs_go(name):
    before = describe(whole(name), input_of(name)).macs
    after = describe(halved(name), input_of(name)).macs
    assert 0.5 - TOLERANCE <= after / before <= 0.5


@pytest.mark.parametrize("unit", ["macs", "params"])
@pytest.mark.parametrize("name", DISTINCT)
def test_costs_are_counted_from_widths_as_they_are_on_networks(name, unit):
    channels = removed(_uniform_third(name), len(blocks(name)))
    left = count_left(whole(name), blocks(name), input_of(name), unit)
    counted = left([len(gone) for gone in channels])
    smaller = without(whole(name), blocks(name), channels)
    exact = cost_in(unit, input_of(name), None)(smaller)
    assert counted == pytest.approx(exact, rel=1e-9 if name != "patt-lite" else 1e-5)
    assert counted >= exact - 1e-3


def _uniform_third(name):
    scores = score_blocks(blocks(name), *2 * [magnitude_scores(whole(name))])
    return [chunk for chunk in removal_order(scores, 8, uniform=True) if chunk.rank < 0.34]


@pytest.mark.parametrize("name", DISTINCT)
def test_widths_are_multiples_of_eight_and_outputs_are_kept(name):
    original, pruned = layers(whole(name)), layers(halved(name))
    ends = [key for key, layer in original.items() if len(layer.weight) == 7]
    for key, layer in pruned.items():
        width, width_before = len(layer.weight), len(original[key].weight)
        assert width == width_before or width % 8 == 0, key
        assert width <= width_before
    assert ends
    assert all(len(pruned[key].weight) == 7 for key in ends)


@pytest.mark.parametrize("name", DISTINCT)
def test_a_saved_one_gives_the_same_answers(name, tmp_path):
    network = halved(name)
    metadata = {
        "model": name,
        "options": {},
        "labels": list("abcdefg"),
        "input_nchw": list(input_of(name)),
        "preprocessing": find_model(name).preprocessing.to_dict(),
        "pruned": True,
    }
    save_checkpoint(tmp_path / "pruned.safetensors", network.state_dict(), metadata)
    loaded = load_checkpoint(tmp_path / "pruned.safetensors").network
    x_NCHW = torch.rand(input_of(name))
    with torch.no_grad():
        torch.testing.assert_close(loaded(x_NCHW), network(x_NCHW), rtol=0, atol=0)
