"""ADL_Class: paths through the levels."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import ModelError
from edge_fer.models.adl_class import (
    DEFAULT_ADL_GENOTYPE,
    AdlClass,
    AdlGenotype,
    adl_genotype_document,
    parse_adl_genotype,
)
from edge_fer.models.complexity import describe
from edge_fer.models.emonas import Edge

CELL = ((Edge("sep_conv_3x3", 0), Edge("skip_connect", 1)),)


@st.composite
def paths(draw):
    path = [draw(st.integers(0, 1))]
    for _ in range(draw(st.integers(0, 5))):
        path.append(min(max(path[-1] + draw(st.integers(-1, 1)), 0), 3))
    return tuple(path)


@settings(max_examples=15, deadline=None)
@given(paths(), st.integers(32, 70), st.integers(32, 70))
def test_any_path_builds_at_any_size(path, height, width):
    genotype = AdlGenotype(cell=CELL, path=path, channels=4)
    assert parse_adl_genotype(json.loads(json.dumps(adl_genotype_document(genotype)))) == genotype
    cost = describe(AdlClass(num_classes=4, genotype=genotype), (1, 3, height, width))
    shapes = {row.name: row.output_shape for row in cost.layers}
    level = 2 ** (path[-1] + 2)
    last = f"cells.{len(path) - 1}.input_1.project.2"
    assert shapes[last] == (1, 4 * 2 ** path[-1], -(-height // level), -(-width // level))
    assert shapes["classifier"] == (1, 4)


@pytest.mark.parametrize("path", [(2,), (0, 2), (0, 1, 3), (1, 2, 3, 4), (-1,), ()])
def test_impossible_paths_are_refused(path):
    with pytest.raises(ModelError, match="genotype"):
        AdlGenotype(cell=CELL, path=path)


@pytest.mark.parametrize(
    "change", [{"schema": "other"}, {"path": 1}, {"path": ["0"]}, {"cell": [[]]}, {"channels": 0}]
)
def test_bad_documents_are_refused(change):
    with pytest.raises(ModelError, match="genotype"):
        parse_adl_genotype({**adl_genotype_document(DEFAULT_ADL_GENOTYPE), **change})
