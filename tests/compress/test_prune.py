"""Whole prunings of a small network: budgets, steps, what is written."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

from edge_fer.compress.prune import prune
from edge_fer.compress.prune_budget import Budget, cost_in, least_cut, parse_amount
from edge_fer.compress.prune_coupling import blocks_of
from edge_fer.compress.prune_cut import cut
from edge_fer.compress.prune_importance import magnitude_scores, score_blocks, taylor_scores
from edge_fer.compress.prune_request import Method, Request, Tools, Tuning
from edge_fer.compress.prune_selection import removal_order, removed
from edge_fer.compress.prune_sweep import prune_sweep
from edge_fer.errors import EdgeFerError, ModelError, OutputError
from edge_fer.labels import FER2013_LABELS
from edge_fer.models import build_model
from edge_fer.models.complexity import describe
from edge_fer.preprocess import Preprocessing
from edge_fer.train.checkpoint import load_checkpoint, save_checkpoint

INPUT = (1, 1, 48, 48)
OPTIONS = {"widths": [32, 64], "blocks": [1, 1]}
HALF = Budget(kind="ratio", value=0.5)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    network = build_model("resnet", num_classes=7, **OPTIONS)
    metadata = {
        "model": "resnet",
        "options": OPTIONS,
        "labels": list(FER2013_LABELS),
        "input_nchw": list(INPUT),
        "preprocessing": Preprocessing(crop_scale=1.5).to_dict(),
        "metrics": {"validation_accuracy": 0.9},
        "temperature": 2.0,
        "data": "fer2013",
    }
    save_checkpoint(tmp_path / "whole.safetensors", network.state_dict(), metadata)
    return tmp_path / "whole.safetensors"


@pytest.fixture
def request_of(checkpoint, tmp_path):
    def make(**values):
        out = tmp_path / "pruned.safetensors"
        return Request(checkpoint=checkpoint, out=out, **{"budget": HALF, **values})

    return make


@pytest.fixture
def tuning(tiny_fer2013):
    changes = {"batch_size": 16, "warmup_epochs": 0, "learning_rate": 0.01}
    return Tuning(data=f"fer2013:{tiny_fer2013}", epochs=1, changes=changes)


def nothing(_):
    pass


def fit(run):
    return run.fit(nothing, nothing)


def work(request, *, tools=None, resume=False, force=False):
    return prune(request, tools or Tools(announce=nothing, fit=fit), resume=resume, force=force)


def sequential():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 24, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 3),
    ).eval()


def test_a_block_lists_what_goes_with_a_channel():
    blocks = blocks_of(sequential(), (1, 1, 8, 8))
    found = [[(m.layer, m.side) for m in block.members] for block in blocks]
    assert [block.width for block in blocks] == [16, 24]
    assert found == [[("0", "out"), ("1", "out"), ("3", "in")], [("3", "out"), ("7", "in")]]


def test_a_dense_layer_behind_flatten_loses_a_column_per_pixel():
    network = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.Flatten(), nn.Linear(64, 3))
    (block,) = blocks_of(network, (1, 1, 2, 2))
    assert block.members[1].places_WP[5].tolist() == [20, 21, 22, 23]


def test_channels_without_effect_go_first_and_nobody_notices():
    network = sequential()
    gone = [1, 2, 3, 5, 8, 11, 13, 15]
    with torch.no_grad():
        network[0].weight[gone] = 0
        network[0].bias[gone] = 0
        network[1].weight[gone] = 0
        network[3].weight[:, gone] = 0
    cost = cost_in("macs", (1, 1, 8, 8), None)
    limit = 0.6 * cost(network)
    settings = {"cost": cost, "limit": limit, "unit": "macs", "losses": None}
    smaller = cut(network, (1, 1, 8, 8), Method(importance="magnitude"), **settings)
    assert (len(smaller[0].weight), len(smaller[3].weight)) == (8, 24)
    x_NCHW = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(smaller(x_NCHW), network(x_NCHW))


def test_taylor_sees_that_nothing_reads_a_channel():
    network = sequential()
    with torch.no_grad():
        network[7].weight[:, 4:] = 0
    x_NCHW = torch.randn(8, 1, 8, 8)
    losses = [network(x_NCHW).square().mean() for _ in range(2)]
    blocks = blocks_of(network, (1, 1, 8, 8))
    scores = score_blocks(blocks, taylor_scores(network, losses), magnitude_scores(network))[1]
    assert scores[:4].min() > 0
    assert scores[4:].max() == 0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_uniform_takes_the_same_share_of_every_block():
    order = removal_order([torch.rand(32), 100 * torch.rand(64), torch.rand(8)], 8, uniform=True)
    gone = removed([chunk for chunk in order if chunk.rank <= 0.5], 3)
    assert [len(channels) for channels in gone] == [16, 32, 0]


def test_cost_takes_what_matters_least_for_what_it_saves():
    scores = [torch.full((16,), 1.0), torch.full((16,), 2.0)]
    order = removal_order(scores, 8, saved=lambda block, count: (1.0, 4.0)[block] * count)
    assert [chunk.block for chunk in order] == [1, 0]
    assert [chunk.rank for chunk in order] == [0.5, 1.0]


def test_cost_spares_parameters_that_cost_few_macs(request_of):
    names = ("global", "cost")
    found = [
        work(request_of(method=Method(importance="magnitude", spread=name)), force=True)["after"]
        for name in names
    ]
    whole = work(request_of(), force=True)["before"]["macs"]
    assert all(after["macs"] <= whole / 2 for after in found)
    assert found[1]["params"] > found[0]["params"]


def test_an_odd_width_is_first_cut_to_a_multiple():
    order = removal_order([torch.arange(36.0)], 8)
    assert [len(chunk.channels) for chunk in order] == [4, 8, 8, 8]
    assert order[0].channels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("limit", [0, 1, 37, 99, 100])
def test_bisection_takes_no_more_than_it_has_to(limit):
    assert least_cut(100, lambda count: 100 - count, limit, "params") == 100 - limit


@pytest.mark.parametrize(
    ("text", "value"), [("13.5M", 13.5e6), ("150k", 150e3), ("9", 9), (".5 g", 5e8)]
)
def test_amounts(text, value):
    assert parse_amount(text) == value


def test_pruning_without_data(request_of):
    request = request_of()
    document = work(request)
    before, after = document["before"], document["after"]
    assert 0.45 * before["macs"] <= after["macs"] <= 0.5 * before["macs"]
    assert (before["accuracy"], after["accuracy"], document["validation"]) == (None, None, None)
    assert after["size_mb"] == request.out.stat().st_size / 1e6
    assert sum(layer["macs_after"] for layer in document["layers"]) == after["macs"]
    assert document["layers"][0]["before"] == [1, 32]
    loaded = load_checkpoint(request.out)
    assert describe(loaded.network, INPUT).macs == after["macs"]
    assert loaded.metadata["pruned"] is True
    assert loaded.metadata["metrics"] == {}
    assert "temperature" not in loaded.metadata
    assert loaded.metadata["pruning"]["budget"]["kind"] == "ratio"
    assert not request.folder.exists()


@pytest.mark.parametrize(
    ("kind", "value", "figure"), [("macs", 5e6, "macs"), ("params", 40_000, "params")]
)
def test_a_budget_is_met_and_used(request_of, kind, value, figure):
    document = work(request_of(budget=Budget(kind=kind, value=value)))
    assert 0.85 * value <= document["after"][figure] <= value


def test_a_budget_of_latency(request_of):
    def meter(network, input_nchw):
        return describe(network, input_nchw).macs / 1e6

    tools = Tools(announce=nothing, fit=fit, meter=meter)
    document = work(request_of(budget=Budget(kind="latency_ms", value=5.0)), tools=tools)
    assert document["before"]["latency_ms"] > 5
    assert 4 < document["after"]["latency_ms"] <= 5


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(kind="params", value=10), "cannot be met"),
        (Budget(kind="macs", value=1e12), "nothing to prune"),
    ],
)
def test_a_budget_out_of_reach(request_of, budget, words):
    request = request_of(budget=budget)
    with pytest.raises(ModelError, match=words):
        work(request)
    assert not request.out.exists()


@pytest.mark.parametrize(
    "values",
    [{"steps": 2}, {"method": Method(importance="taylor")}, {"steps": 0}],
    ids=["steps", "taylor", "none"],
)
def test_parts_that_do_not_fit(request_of, values):
    with pytest.raises(EdgeFerError):
        request_of(**values)


def test_a_pruned_checkpoint_is_pruned_further_and_teaches_itself(request_of, tuning):
    first = request_of()
    work(first)
    out = first.out.with_name("again.safetensors")
    again = replace(first, checkpoint=first.out, out=out, tuning=replace(tuning, epochs=1))
    document = work(again)
    before, after = document["before"], document["after"]
    assert before["params"] == describe(load_checkpoint(first.out).network, INPUT).params_total
    assert after["params"] < before["params"]
    assert load_checkpoint(out).metadata["pruned"]


def test_judged_but_not_trained(request_of, tuning):
    document = work(request_of(tuning=replace(tuning, epochs=0)))
    assert document["validation"] == "fer2013:PublicTest"
    assert 0 <= document["before"]["accuracy"] <= 1
    assert document["after"]["accuracy"] == document["steps"][0]["accuracy_pruned"]
    assert document["steps"][0]["accuracy_tuned"] is None


def test_steps_end_alike_whether_they_were_interrupted_or_not(request_of, tuning, tmp_path):
    request = request_of(tuning=tuning, steps=2)
    document = work(request)
    macs = [step["macs"] for step in document["steps"]]
    assert document["before"]["macs"] * 0.7 < macs[0] < document["before"]["macs"] * 0.8
    assert macs[1] == document["after"]["macs"] < document["before"]["macs"] / 2
    assert document["after"]["accuracy"] == document["steps"][1]["accuracy_tuned"]
    expected = load_checkpoint(request.out)
    assert expected.preprocessing.crop_scale == 1.5

    again = replace(request, out=tmp_path / "again.safetensors")
    for step, resume in ((2, False), (4, True)):
        tools = Tools(announce=nothing, fit=_interrupted_after(step))
        with pytest.raises(KeyboardInterrupt):
            work(again, tools=tools, resume=resume)
        assert not again.out.exists()
    with pytest.raises(OutputError, match="--resume"):
        work(again)
    with pytest.raises(ModelError, match="another pruning"):
        work(replace(again, steps=1), resume=True)
    assert work(again, resume=True)["steps"] == document["steps"]
    weights = load_checkpoint(again.out).network.state_dict()
    for name, tensor in expected.network.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    after = work(again, resume=True)["after"]
    size_mb = pytest.approx(document["after"]["size_mb"], rel=0.01)  # speeds are in the file too
    assert after == document["after"] | {"size_mb": size_mb}


def _interrupted_after(steps):
    count = 0

    def raise_when_due(_):
        nonlocal count
        count += 1
        if count == steps:
            raise KeyboardInterrupt

    return lambda run: run.fit(raise_when_due, nothing)


def test_a_folder_of_something_else_is_left_alone(request_of, tuning):
    request = request_of(tuning=tuning)
    request.folder.mkdir()
    (request.folder / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="in the way"):
        work(request, force=True)
    assert (request.folder / "thesis.txt").read_text() == "mine"


def test_ensembles_learn_without_a_teacher(checkpoint, request_of, tuning):
    from edge_fer.compress.prune_steps import training_config
    from edge_fer.models.part_ensemble import PartEnsemble
    from edge_fer.train.checkpoint import Checkpoint

    request = request_of(tuning=tuning)
    one = load_checkpoint(checkpoint)
    assert training_config(request, one, request.folder).teachers == (str(checkpoint),)
    metadata = one.metadata | {"model": "part-ensemble", "input_nchw": [1, 3, 160, 160]}
    many = Checkpoint(network=PartEnsemble(), metadata=metadata)
    config = training_config(request, many, request.folder)
    assert config.teachers == ()
    assert config.stages[0].distill == 0


def test_a_sweep_draws_its_curve(request_of, tuning, tmp_path):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "sweep"
    request = request_of(tuning=replace(tuning, epochs=0))
    request = replace(request, out=folder / "ratio.safetensors")
    tools = Tools(announce=nothing, fit=fit)
    document = prune_sweep(request, [0.3, 0.6], tools, resume=False, force=False)
    assert [point["ratio"] for point in document["points"]] == [0, 0.3, 0.6]
    macs = [point["macs"] for point in document["points"]]
    assert macs == sorted(macs, reverse=True)
    assert json.loads((folder / "sweep.json").read_text()) == document
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert load_checkpoint(folder / "ratio-0.6.safetensors").metadata["pruned"]
    shutil.rmtree(folder)
    with pytest.raises(EdgeFerError, match="--data"):
        prune_sweep(replace(request, tuning=None), [0.5], tools, resume=False, force=False)
