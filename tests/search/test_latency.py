"""The latency term: its value against counting, its gradient against finite differences."""

import itertools
import json

import numpy as np
import pytest
import torch

from edge_fer.errors import ModelError
from edge_fer.models.emonas import OPERATIONS, Edge, Genotype
from edge_fer.search.discrete import NAMES
from edge_fer.search.latency import LatencyTerm
from edge_fer.search.space import Part, edges
from edge_fer.search.table import read_table, table_for
from tests.search.made import SPACE, make_table, table_document

CPU = torch.device("cpu")
E = len(edges(SPACE.intermediate))


def make_term(budget_ms=3.0, weight=2.0):
    return LatencyTerm(make_table(), "int8", budget_ms, weight, CPU)


def cells(operations):
    """All cells of two nodes: every choice of edges, one operation on all of them."""
    for sources in itertools.combinations(range(3), 2):
        for name in operations:
            yield (
                (Edge(name, 0), Edge(name, 1)),
                tuple(Edge(name, source) for source in sources),
            )


def test_the_expectation_is_the_mean_over_all_genotypes():
    """Operations with weights are counted wherever they are read."""
    table, names = make_table(), [name for name in NAMES if "conv" in name]
    weights_EO = torch.zeros(E, len(OPERATIONS))
    weights_EO[:, [NAMES.index(name) for name in names]] = 1 / len(names)
    counted = [
        table.predict_ms(Genotype(normal=one, reduction=other, cells=3, channels=4), "int8")
        for one in cells(names)
        for other in cells(names)
    ]
    expected = make_term().expected_ms(weights_EO, weights_EO)
    assert expected.item() == pytest.approx(np.mean(counted), rel=1e-5)


def test_what_edges_weigh_counts_as_their_chance():
    weights_EO = torch.full((E, len(OPERATIONS)), 1 / len(OPERATIONS))
    assert make_term().expected_ms(weights_EO * 0.3, weights_EO).item() == pytest.approx(
        make_term().expected_ms(weights_EO, weights_EO).item()
    )
    slow = int(make_table().edges_ms("int8")[1].sum(1)[2:].argmax()) + 2
    heavier_EO = weights_EO.clone()
    heavier_EO[slow] *= 5
    changed = make_term().expected_ms(weights_EO, heavier_EO)
    assert changed > make_term().expected_ms(weights_EO, weights_EO)


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_is_the_slope_of_the_expectation(seed):
    term = make_term()
    alpha_EO = torch.randn(
        E, len(OPERATIONS), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).requires_grad_()
    other_EO = torch.full((E, len(OPERATIONS)), 1 / len(OPERATIONS), dtype=torch.float64)

    def share(x_EO):
        return 2 * term.expected_ms(x_EO.softmax(1), other_EO) / term.budget_ms

    assert torch.autograd.gradcheck(share, alpha_EO, atol=1e-6)
    penalty = term.penalty(alpha_EO.softmax(1), other_EO)
    assert penalty > 0
    (found_EO,) = torch.autograd.grad(penalty, alpha_EO)
    (slope_EO,) = torch.autograd.grad(share(alpha_EO), alpha_EO)
    assert torch.equal(found_EO, slope_EO)


def test_descent_leads_to_the_fastest_operations():
    term, table = make_term(budget_ms=0.1), make_table()
    alphas = [torch.zeros(E, len(OPERATIONS), requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.Adam(alphas, lr=0.3)
    for _ in range(100):
        optimizer.zero_grad()
        term.penalty(*(alpha_EO.softmax(1) for alpha_EO in alphas)).backward()
        optimizer.step()
    for alpha_EO, times_EO in zip(alphas, table.edges_ms("int8"), strict=True):
        assert alpha_EO.argmax(1).tolist() == times_EO.argmin(1).tolist()


def nearly_equal(favourite):
    weights_EO = torch.full((E, len(OPERATIONS)), 1 / len(OPERATIONS))
    weights_EO[:, NAMES.index(favourite)] += 1e-3
    return weights_EO


def test_the_budget_is_for_what_would_be_kept():
    """Not for what is expected: nearly equal weights expect the same of both favourites."""
    slow, fast = ([nearly_equal(name)] * 2 for name in ("sep_conv_5x5", "skip_connect"))
    table = make_table()
    chosen = ((Edge("sep_conv_5x5", 0), Edge("sep_conv_5x5", 1)),) * 2
    slow_ms = table.predict_ms(
        Genotype(normal=chosen, reduction=chosen, cells=3, channels=4), "int8"
    )
    term = make_term()
    assert term.kept_ms(*slow) == pytest.approx(slow_ms)
    between = make_term(budget_ms=(term.kept_ms(*slow) + term.kept_ms(*fast)) / 2)
    assert between.penalty(*fast) == 0
    assert between.penalty(*slow).item() == pytest.approx(2 * (slow_ms / between.budget_ms - 1))


def test_guards_decide_what_is_kept():
    """Where only two identities may stay, something slower takes the others' place."""
    weights = [nearly_equal("skip_connect")] * 2
    limited = LatencyTerm(make_table(), "int8", 3.0, 2.0, CPU, ("skip-dropout",))
    assert limited.kept_ms(*weights) > make_term().kept_ms(*weights)


def test_descent_ends_at_the_budget():
    """And asks for no more: what is kept is not the fastest of all."""
    torch.manual_seed(0)
    alphas = [torch.randn(E, len(OPERATIONS), requires_grad=True) for _ in range(2)]

    def weights():
        return [alpha_EO.softmax(1) for alpha_EO in alphas]

    term = make_term(0.8 * make_term().kept_ms(*weights()))
    optimizer = torch.optim.SGD(alphas, lr=0.1)
    while (penalty := term.penalty(*weights())) > 0:
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
    fastest = [-torch.from_numpy(times_EO).float() for times_EO in make_table().edges_ms("int8")]
    weighed = [(100 * x_EO).softmax(1) for x_EO in fastest]
    assert term.kept_ms(*weighed) < term.kept_ms(*weights()) <= term.budget_ms


def test_a_table_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table_document(make_table())))
    read, made = read_table(path), make_table()
    assert read == made
    assert table_for(str(path), SPACE) == made
    assert table_for("", SPACE) is None


def test_a_network_takes_its_base_and_its_operations():
    table = make_table()
    chain = tuple((Edge("skip_connect", i), Edge("skip_connect", i + 1)) for i in range(2))
    idle = Genotype(normal=chain, reduction=chain, cells=3, channels=4)
    halving = [
        table.times_ms["fp32", Part("skip_connect", place)]
        for place in SPACE.places
        if place.stride == 2
    ]
    assert len(halving) == 2
    assert table.predict_ms(idle, "fp32") == pytest.approx(1.0 + 3 * sum(halving))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "edge-fer/bench/1"}, "schema"),
        ({"rows": []}, "lacks sep_conv_3x3 at 4 channels, 16 px"),
        ({"base_ms": {"int8": 1.0}}, "not a readable table"),
        ({"space": {"cells": 3}}, "lacks"),
        ({"rows": 3}, "not a readable table"),
    ],
)
def test_what_is_no_table(tmp_path, change, message):
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table_document(make_table()) | change))
    with pytest.raises(ModelError, match=message):
        read_table(path)


def test_a_table_of_other_networks_is_refused(tmp_path):
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table_document(make_table())))
    other = type(SPACE)(cells=5, nodes=5, channels=4, input_px=16)
    with pytest.raises(ModelError, match=r"3x5x4@16, not 5x5x4@16.*--space 5x5x4@16"):
        table_for(str(path), other)
