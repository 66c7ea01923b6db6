"""From weights to genotypes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_fer.models.emonas import OPERATIONS, check_nodes
from edge_fer.search.discrete import NAMES, count_skips, discretise, discretise_limited
from edge_fer.search.guards import derive, has_collapsed
from edge_fer.search.space import edges

SKIP = NAMES.index("skip_connect")


@st.composite
def weights(draw):
    """Different weights ``[E, O]`` of a cell with one to five nodes."""
    count = len(edges(draw(st.integers(1, 5)))) * len(OPERATIONS)
    order = draw(st.permutations(range(count)))
    return (1 + np.array(order, np.float64)).reshape(-1, len(OPERATIONS)) / count


@settings(max_examples=60, deadline=None)
@given(weights())
def test_every_node_keeps_its_two_strongest_from_different_nodes(weights_EO):
    nodes = discretise(weights_EO)
    check_nodes("cell", nodes)
    rows = {(node, source): row for row, (node, source) in enumerate(edges(len(nodes)))}
    assert len(rows) == len(weights_EO)
    for number, (one, other) in enumerate(nodes, 2):
        own = {source: weights_EO[rows[number, source]] for source in range(number)}
        kept = {one.source: one.operation, other.source: other.operation}
        for source, operation in kept.items():
            assert NAMES[own[source].argmax()] == operation
        left = [own[source].max() for source in own if source not in kept]
        assert all(own[source].max() > best for source in kept for best in left)


@settings(max_examples=40, deadline=None)
@given(weights(), st.floats(0.1, 10))
def test_only_the_order_of_weights_counts(weights_EO, power):
    assert discretise(weights_EO) == discretise(weights_EO**power)


@settings(max_examples=60, deadline=None)
@given(weights(), st.integers(0, 4))
def test_the_limit_holds_and_changes_nothing_within_it(weights_EO, most):
    free, limited = discretise(weights_EO), discretise_limited(weights_EO, most)
    check_nodes("cell", limited)
    assert count_skips(limited) <= most
    if count_skips(free) <= most:
        assert limited == free


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(np.float64, (14, 7), elements=st.floats(0, 1)))
def test_weights_that_are_equal_give_a_cell_too(weights_EO):
    check_nodes("cell", discretise(weights_EO))
    assert discretise(weights_EO) == discretise(weights_EO.copy())


def all_skips():
    """Two edges stand out in every node, both identities; the later the node, the weaker."""
    weights_EO = np.full((14, 7), 0.1)
    for row, (node, source) in enumerate(edges(4)):
        weights_EO[row, SKIP] = 0.9 - 0.1 * node + 0.01 * source
    return weights_EO


def test_the_weakest_identities_give_way():
    nodes = discretise_limited(all_skips(), 2)
    assert [edge.operation == "skip_connect" for node in nodes for edge in node] == [
        True, True, False, False, False, False, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("guards", "skips", "ends"),
    [((), 8, False), (("skip-dropout",), 2, False), (("early-stop",), 8, True)],
)
def test_guards_on_identities_in_the_normal_cell(guards, skips, ends):
    normal, reduction = derive(all_skips(), all_skips(), guards)
    assert count_skips(normal) == skips
    assert count_skips(reduction) == 8
    assert has_collapsed(normal, guards) is ends
