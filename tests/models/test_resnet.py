"""The residual network: what its options build, and what they may not be."""

import pytest
import torch
from torch import nn

from edge_fer.errors import ModelError
from edge_fer.models import build_model
from edge_fer.models.resnet import BasicBlock, ResNet


def convolutions(block):
    return [layer for layer in block.main.modules() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize(
    ("options", "sides"),
    [
        ({}, (24, 12, 12, 6)),
        ({"stem_stride": 1}, (48, 24, 24, 12)),
        ({"strides": [1, 2, 1]}, (24, 12, 12, 12)),
        ({"strides": [2, 1, 2]}, (12, 12, 12, 6)),
    ],
)
def test_sizes_halve_where_a_stage_has_a_stride(options, sides):
    network = ResNet(widths=(4, 8, 16), blocks=(1, 2, 1), **options).eval()
    sizes = []
    for block in network.trunk:
        block.register_forward_hook(lambda _, __, out: sizes.append(tuple(out.shape[1:])))
    assert network(torch.zeros(2, 1, 48, 48)).shape == (2, 7)
    assert sizes == [(c, s, s) for c, s in zip((4, 8, 8, 16), sides, strict=True)]


@pytest.mark.parametrize(("first", "separable"), [(None, 0), (3, 0), (2, 2), (1, 4), (0, 5)])
def test_convolutions_are_separable_from_a_stage_on(first, separable):
    network = ResNet(widths=(8, 12, 16), blocks=(1, 2, 2), separable_from=first)
    kinds = [{conv.groups > 1 for conv in convolutions(block)} for block in network.trunk]
    assert kinds == [{False}] * (5 - separable) + [{False, True}] * separable


def test_a_separable_block_takes_the_parameters_of_its_formula():
    block, c, d = BasicBlock(24, 40, 2, separable=True), 24, 40
    depthwise, pointwise = 9 * c + 9 * d, c * d + d * d
    norms = 2 * (c + d + d + d) + 2 * d
    assert sum(p.numel() for p in block.parameters()) == depthwise + pointwise + norms + c * d
    assert block(torch.zeros(1, c, 8, 8)).shape == (1, d, 4, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [8], "blocks": [1, 1]}, "do not fit"),
        ({"widths": [], "blocks": []}, "do not fit"),
        ({"widths": [8, 0], "blocks": [1, 1]}, "do not fit"),
        ({"widths": [8, 8], "blocks": [1, 1], "separable_from": 3}, "no stage 3 among 2"),
        ({"widths": [8, 8], "blocks": [1, 1], "separable_from": -1}, "no stage -1 among 2"),
        ({"stem_stride": 0}, r"a stride is 1 or 2, which not all are of \[0, 1, 2, 2, 2\]"),
        ({"strides": [1, 2, 3, 2]}, r"which not all are of \[2, 1, 2, 3, 2\]"),
        ({"strides": [1, 2]}, "2 strides for 4 stages"),
    ],
)
def test_what_is_no_network(options, message):
    with pytest.raises(ModelError, match=message):
        build_model("resnet", num_classes=7, **options)
