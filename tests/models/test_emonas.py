"""EmoNAS: genotypes and the networks they build."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import ModelError
from edge_fer.models import build_model
from edge_fer.models.complexity import describe
from edge_fer.models.emonas import (
    DEFAULT_GENOTYPE,
    OPERATIONS,
    Edge,
    EmoNas,
    Genotype,
    genotype_document,
    load_genotype,
    parse_genotype,
    reduction_cells,
    save_genotype,
)

#: Within a latency in INT8.
FOUND = Path(__file__).parents[2] / "benchmarks/search/fer2013-cpu/aware-32px/genotype.json"


def uniform(operation, *, nodes=4, cells=5, channels=36):
    cell = tuple((Edge(operation, 0), Edge(operation, 1)) for _ in range(nodes))
    return Genotype(normal=cell, reduction=cell, cells=cells, channels=channels)


@st.composite
def cells(draw, nodes):
    chosen = []
    for number in range(2, nodes + 2):
        sources = draw(st.permutations(range(number)))[:2]
        chosen.append(tuple(Edge(draw(st.sampled_from(sorted(OPERATIONS))), s) for s in sources))
    return tuple(chosen)


@st.composite
def genotypes(draw):
    nodes = draw(st.integers(1, 5))
    return Genotype(
        normal=draw(cells(nodes)),
        reduction=draw(cells(nodes)),
        cells=draw(st.integers(3, 6)),
        channels=draw(st.integers(2, 6)),
    )


@pytest.mark.parametrize(
    ("operation", "trainable"),
    [("max_pool_3x3", 273_427), ("avg_pool_3x3", 273_427), ("sep_conv_5x5", 1_325_779)],
)
def test_span_of_parameters(operation, trainable):
    network = EmoNas(num_classes=7, genotype=uniform(operation))
    assert describe(network, (1, 3, 48, 48)).params_trainable == trainable


def test_the_default_is_inside_the_papers_range():
    assert 0.49e6 <= describe(EmoNas(), (1, 3, 48, 48)).params_trainable <= 1.36e6


def test_the_default_is_what_the_search_on_file_found():
    found = load_genotype(FOUND)
    assert (found.normal, found.reduction) == (DEFAULT_GENOTYPE.normal, DEFAULT_GENOTYPE.reduction)


@pytest.mark.parametrize(("count", "at"), [(5, (1, 3)), (8, (2, 5)), (10, (3, 6)), (15, (5, 10))])
def test_reductions_are_at_thirds(count, at):
    assert reduction_cells(count) == at
    network = EmoNas(genotype=uniform("skip_connect", cells=count, channels=4))
    assert describe(network, (1, 3, 24, 24)).layers[-1].name == "classifier"


@settings(max_examples=15, deadline=None)
@given(genotypes())
def test_any_genotype_survives_json_and_builds(genotype):
    assert parse_genotype(json.loads(json.dumps(genotype_document(genotype)))) == genotype
    network = EmoNas(num_classes=3, in_channels=1, genotype=genotype_document(genotype))
    assert describe(network, (1, 1, 16, 16)).layers[-1].output_shape == (1, 3)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(
    key=st.sampled_from(["schema", "normal", "reduction", "cells", "channels", "extra"]),
    value=_JSON,
)
def test_a_changed_genotype_is_refused_or_still_a_genotype(key, value):
    document = {**genotype_document(DEFAULT_GENOTYPE), key: value}
    try:
        genotype = parse_genotype(document)
    except ModelError:
        return
    assert key in {"cells", "channels"}
    assert type(value) is int
    assert genotype_document(genotype) == document


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ([["sep_conv_7x7", 0], ["skip_connect", 1]], "unknown operation"),
        ([["skip_connect", 0], ["skip_connect", 0]], "twice"),
        ([["skip_connect", 0], ["skip_connect", 2]], "before it"),
        ([["skip_connect", -1], ["skip_connect", 0]], "before it"),
        ([["skip_connect", True], ["skip_connect", 0]], "not of the form"),
        ([["skip_connect", 0]], "pair"),
    ],
)
def test_bad_nodes_are_named(node, message):
    document = {**genotype_document(uniform("skip_connect", nodes=1)), "normal": [node]}
    with pytest.raises(ModelError, match=f"normal node 2: .*{message}"):
        parse_genotype(document)


@pytest.mark.parametrize(
    "change", [{"cells": 2}, {"cells": 5.0}, {"channels": 0}, {"normal": []}, {"surplus": 1}]
)
def test_bad_values_are_refused(change):
    with pytest.raises(ModelError, match="genotype"):
        parse_genotype({**genotype_document(DEFAULT_GENOTYPE), **change})


def test_cells_of_different_length_are_refused():
    with pytest.raises(ModelError, match="same number of nodes"):
        Genotype(normal=DEFAULT_GENOTYPE.normal, reduction=DEFAULT_GENOTYPE.reduction[:3])


def test_files(tmp_path):
    path = tmp_path / "genotype.json"
    save_genotype(path, DEFAULT_GENOTYPE)
    assert load_genotype(path) == DEFAULT_GENOTYPE
    path.write_text("{")
    with pytest.raises(ModelError, match="not a readable genotype"):
        load_genotype(path)
    with pytest.raises(ModelError, match=r"absent\.json"):
        load_genotype(tmp_path / "absent.json")


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_keep_channels_and_divide_the_size(operation, stride):
    module = OPERATIONS[operation](6, stride, True)
    assert module(torch.rand(2, 6, 8, 12)).shape == (2, 6, 8 // stride, 12 // stride)


def test_search_can_do_without_affine_batch_norms():
    for build in OPERATIONS.values():
        names = [name for name, _ in build(4, 2, False).named_parameters()]
        assert all("bias" not in name for name in names)


@pytest.mark.parametrize("stride", [1, 2])
def test_max_pooling_over_zeros_is_max_pooling_over_minus_infinity(stride):
    x_NCHW = torch.rand(2, 3, 8, 8)
    padded = torch.nn.functional.max_pool2d(x_NCHW, 3, stride, padding=1)
    assert torch.equal(OPERATIONS["max_pool_3x3"](3, stride, True)(x_NCHW), padded)


def test_average_pooling_counts_the_border_zeros():
    pooled = OPERATIONS["avg_pool_3x3"](1, 1, True)(torch.ones(1, 1, 4, 4))
    assert pooled[0, 0, 0, 0].item() == pytest.approx(4 / 9)
    assert pooled[0, 0, 1, 1].item() == pytest.approx(1)


def test_the_zoo_takes_a_genotype_as_json():
    document = genotype_document(uniform("max_pool_3x3", channels=8))
    network = build_model("emonas", num_classes=4, genotype=document)
    assert isinstance(network, EmoNas)
    assert network.genotype == uniform("max_pool_3x3", channels=8)
