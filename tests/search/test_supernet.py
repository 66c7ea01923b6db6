"""The network that is searched, and what guards change in it."""

import pytest
import torch

from edge_fer.models.emonas import OPERATIONS, STEM_MULTIPLIER, Cell
from edge_fer.search.alphas import Alphas, mixtures
from edge_fer.search.discrete import NAMES, discretise
from edge_fer.search.guards import PARTIAL_SHARE, SKIP_DROPOUT, moment_of
from edge_fer.search.space import Space, edges
from edge_fer.search.supernet import MixedOperation, Moment, SuperCell, SuperNet
from tests.search.made import SPACE


def weights_of(space, seed=0, between_edges=False):
    torch.manual_seed(seed)
    alphas = Alphas(space.intermediate, between_edges=between_edges)
    return mixtures([10 * alpha for alpha in alphas.parameters()], space.intermediate)


@pytest.mark.parametrize(
    ("cells", "nodes", "share", "auxiliary"),
    [(3, 4, 1, False), (5, 7, 1, False), (4, 6, 2, True), (8, 5, 4, False)],
)
def test_any_cells_and_nodes(cells, nodes, share, auxiliary):
    space = Space(cells=cells, nodes=nodes, channels=4, input_px=16)
    network = SuperNet(space, 7, 3, share=share, auxiliary=auxiliary)
    normal_EO, reduction_EO = weights_of(space, between_edges=share > 1)
    assert normal_EO.shape == (len(edges(space.intermediate)), len(OPERATIONS))
    moment = Moment(skip_dropout=0.2, auxiliary=0.5)
    logits_NK = network(torch.rand(2, 3, 16, 16), normal_EO, reduction_EO, moment)
    assert logits_NK.shape == (2, 7)
    assert network.stem[0].out_channels == STEM_MULTIPLIER * 4


def test_a_mixture_is_the_weighted_sum_of_its_candidates():
    mixture = MixedOperation(4, 1, share=1, auxiliary=False).eval()
    x_NCHW, weights_O = torch.rand(2, 4, 8, 8), torch.rand(7)
    terms = [w * c(x_NCHW) for w, c in zip(weights_O, mixture.candidates.values(), strict=True)]
    assert torch.allclose(mixture(x_NCHW, weights_O, Moment()), sum(terms), atol=1e-5)
    assert tuple(mixture.candidates) == NAMES


def test_candidates_are_the_modules_of_the_final_network():
    for stride in (1, 2):
        mixture = MixedOperation(4, stride, share=1, auxiliary=False)
        for name, build in OPERATIONS.items():
            candidate = mixture.candidates[name]
            own = candidate[0] if "pool" in name else candidate
            assert str(own) == str(build(4, stride, False))


def test_a_cell_under_one_hot_weights_is_the_final_cell():
    """Without batch norms in the way: identities only, each node's two edges chosen."""
    plan = SPACE.plan[0]
    cell = SuperCell(plan, 2, 12, 12, after_reduction=False, share=1, auxiliary=False).eval()
    hot_EO = torch.zeros(5, 7)
    hot_EO[[0, 1, 2, 4], NAMES.index("skip_connect")] = 1
    final = Cell(
        discretise(hot_EO.numpy()), 12, 12, plan.channels, reduction=False, after_reduction=False
    ).eval()
    for name in ("input_0", "input_1"):
        getattr(final, name).load_state_dict(getattr(cell, name).state_dict(), strict=False)
    before, previous = torch.rand(2, 12, 16, 16), torch.rand(2, 12, 16, 16)
    found = cell(before, previous, hot_EO, Moment())
    assert torch.allclose(found, final(before, previous), atol=1e-5)


def test_weights_of_an_edge_sum_to_one_and_partial_ones_over_a_node():
    normal_EO, _ = weights_of(SPACE)
    assert torch.allclose(normal_EO.sum(1), torch.ones(5))
    normal_EO, _ = weights_of(SPACE, between_edges=True)
    assert torch.allclose(normal_EO[:2].sum(), torch.ones(()))
    assert torch.allclose(normal_EO[2:].sum(), torch.ones(()))


@pytest.mark.parametrize("stride", [1, 2])
def test_partial_channels_pass_the_others_by(stride):
    mixture = MixedOperation(8, stride, share=PARTIAL_SHARE, auxiliary=False).eval()
    x_NCHW, weights_O = torch.rand(1, 8, 8, 8), torch.rand(7) / 5
    y_NCHW = mixture(x_NCHW, weights_O, Moment())
    assert y_NCHW.shape == (1, 8, 8 // stride, 8 // stride)
    passed = x_NCHW[:, 2:] if stride == 1 else torch.nn.functional.max_pool2d(x_NCHW[:, 2:], 2)
    mixed_NCHW = mixture._mixed(x_NCHW[:, :2], weights_O, Moment())
    both_NCHW = torch.cat((mixed_NCHW, weights_O.sum() * passed), 1)
    unshuffled_NCHW = y_NCHW.unflatten(1, (2, PARTIAL_SHARE)).transpose(1, 2).flatten(1, 2)
    assert torch.allclose(unshuffled_NCHW, both_NCHW, atol=1e-6)
    count = sum(p.numel() for p in mixture.parameters())
    whole = sum(p.numel() for p in MixedOperation(8, stride, share=1, auxiliary=False).parameters())
    assert count < whole / PARTIAL_SHARE


def test_the_auxiliary_identity_fades_out():
    mixture = MixedOperation(4, 1, share=1, auxiliary=True).eval()
    x_NCHW, none_O = torch.rand(1, 4, 8, 8), torch.zeros(7)
    guards = ("auxiliary-skip",)
    for done, left in ((0.0, 1.0), (0.75, 0.25), (1.0, 0.0)):
        assert torch.allclose(mixture(x_NCHW, none_O, moment_of(guards, done)), left * x_NCHW)


def test_identities_are_dropped_less_and_less():
    mixture = MixedOperation(4, 1, share=1, auxiliary=False).eval()
    only_O = torch.zeros(7)
    only_O[NAMES.index("skip_connect")] = 1
    x_NCHW = torch.ones(8, 4, 16, 16)
    zeros = []
    for done in (0.0, 0.5, 1.0):
        torch.manual_seed(0)
        y_NCHW = mixture(x_NCHW, only_O, moment_of(("skip-dropout",), done))
        zeros.append((y_NCHW == 0).float().mean().item())
    assert zeros == pytest.approx([SKIP_DROPOUT, SKIP_DROPOUT / 2, 0], abs=0.02)


def test_without_guards_nothing_changes_over_time():
    assert moment_of((), 0.0) == moment_of((), 0.9) == Moment()
