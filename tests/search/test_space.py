"""Where operations stand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import ModelError
from edge_fer.models.emonas import OPERATIONS, Edge, EmoNas, Genotype, check_nodes
from edge_fer.search.draw import random_genotype, random_genotypes
from edge_fer.search.space import Part, Place, Space, edges, parse_space, parts_of

PAPER = Space()


def test_the_papers_space():
    assert [cell.reduction for cell in PAPER.plan] == [False, True, False, True, False]
    assert [cell.channels for cell in PAPER.plan] == [36, 72, 72, 144, 144]
    assert [cell.size_px for cell in PAPER.plan] == [48, 48, 24, 24, 12]
    assert PAPER.places == ((36, 48, 1), (72, 48, 2), (72, 24, 1), (144, 24, 2), (144, 12, 1))
    assert len(edges(PAPER.intermediate)) == 14


@pytest.mark.parametrize("text", ["5x7x36@48", "3x4x2@16"])
def test_a_space_is_written_as_it_is_read(text):
    assert str(parse_space(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [("5x7x36", "5x7x36@48"), ("2x7x36@48", "cells"), ("5x3x36@48", "nodes"), ("5x7x8@18", "18")],
)
def test_what_is_no_space(text, message):
    with pytest.raises(ModelError, match=message):
        parse_space(text)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**30), st.integers(3, 6), st.integers(4, 7))
def test_parts_stand_where_the_network_has_them(seed, cells, nodes):
    space = Space(cells=cells, nodes=nodes, channels=3, input_px=16)
    genotype = random_genotype(space, np.random.default_rng(seed))
    seen = []
    network = EmoNas(genotype=genotype).eval()
    for cell, kind in zip(network.cells, space.plan, strict=True):
        genes = genotype.reduction if kind.reduction else genotype.normal
        names = [edge.operation for node in genes for edge in node]
        for name, module in zip(names, cell.operations, strict=True):
            module.register_forward_hook(
                lambda _, inputs, output, name=name: seen.append(
                    Part(name, Place(*inputs[0].shape[1:3], inputs[0].shape[2] // output.shape[2]))
                )
            )
    with torch.no_grad():
        network(torch.zeros(1, 3, 16, 16))
    parts = parts_of(genotype, space)
    assert set(parts) == set(seen)
    convolutions = [part for part in seen if "conv" in part.operation]
    assert sorted(p for p in parts if "conv" in p.operation) == sorted(convolutions)


def test_what_is_computed_once_counts_once():
    pair = (Edge("max_pool_3x3", 0), Edge("sep_conv_3x3", 1))
    genotype = Genotype(normal=(pair, pair), reduction=(pair, pair), cells=3, channels=4)
    parts = parts_of(genotype, Space(cells=3, nodes=5, channels=4, input_px=16))
    assert [part.operation for part in parts].count("max_pool_3x3") == 3
    assert [part.operation for part in parts].count("sep_conv_3x3") == 6


def test_an_identity_that_halves_has_weights_of_its_own():
    pair = (Edge("skip_connect", 0), Edge("skip_connect", 1))
    genotype = Genotype(normal=(pair, pair), reduction=(pair, pair), cells=3, channels=4)
    parts = parts_of(genotype, Space(cells=3, nodes=5, channels=4, input_px=16))
    assert sum(part.place.stride == 2 for part in parts) == 8
    assert sum(part.place.stride == 1 for part in parts) == 2


def test_genotypes_by_lot_are_genotypes_and_begin_alike():
    many = random_genotypes(PAPER, 40, seed=3)
    assert random_genotypes(PAPER, 5, seed=3) == many[:5]
    assert random_genotypes(PAPER, 5, seed=4) != many[:5]
    for genotype in many:
        check_nodes("normal", genotype.normal)
        check_nodes("reduction", genotype.reduction)
    used = {edge.operation for g in many for node in g.normal for edge in node}
    assert used == set(OPERATIONS)
