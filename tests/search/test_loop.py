"""A search as a whole: what it writes, and that it goes on exactly."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_fer.errors import EdgeFerError, ModelError, OutputError
from edge_fer.models.emonas import genotype_document, load_genotype, parse_genotype
from edge_fer.search import guards, loop
from edge_fer.search.discrete import discretise
from edge_fer.search.loop import GENOTYPE_FILE, Search, halves
from edge_fer.search.record import read_metrics
from edge_fer.train.folder import STATE_FILE
from edge_fer.train.state import load_state
from tests.search.made import SPACE, STAGE, make_config, make_faces, make_table, table_document

STEPS = 6


class PowerCutError(Exception):
    pass


def nothing(_):
    pass


def raise_at(step, error):
    count = iter(range(1, 100))

    def check(_):
        if next(count) == step:
            raise error

    return check


def make_search(folder, config=None, *, resume=False):
    search = Search(config or make_config(), make_faces(), folder)
    search.start(resume=resume, force=False)
    return search


def assert_same(folder, other):
    (groups, progress), (others, progress_2) = (
        load_state(path / STATE_FILE) for path in (folder, other)
    )
    assert replace(progress, seconds=0) == replace(progress_2, seconds=0)
    assert groups.keys() == others.keys()
    for group, tensors in groups.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, others[group][name]), (group, name)
    timed = {"seconds", "images_per_s"}
    lines, lines_2 = (
        [{k: v for k, v in record.items() if k not in timed} for record in read_metrics(path)]
        for path in (folder, other)
    )
    assert lines == lines_2


HARD = {"order": 2, "guards": guards.GUARDS[1:]}


@pytest.fixture(scope="module")
def whole_search(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(1)
    return folder, make_search(folder, make_config(**HARD)).fit(nothing, nothing)


def test_every_epoch_is_on_record(whole_search):
    folder, result = whole_search
    records = read_metrics(folder)
    assert [record["epoch"] for record in records] == [0, 1]
    assert result["epochs"] == 2
    assert not result["stopped"]
    for record in records:
        genotype = parse_genotype(record["genotype"])
        normal_EO, reduction_EO = (
            np.array(record["weights"][kind]) for kind in ("normal", "reduction")
        )
        assert genotype.reduction == discretise(reduction_EO)
        assert record["skips"]["normal"] <= guards.MOST_SKIPS
        assert normal_EO.sum() == pytest.approx(SPACE.intermediate, rel=1e-5)
        assert set(record["alpha"]) == {"normal", "normal_edges", "reduction", "reduction_edges"}
    assert genotype_document(load_genotype(folder / GENOTYPE_FILE)) == records[-1]["genotype"]


@pytest.mark.parametrize("step", [1, 3, 4])
def test_an_interrupted_search_ends_as_an_uninterrupted_one(whole_search, tmp_path, step):
    config = make_config(**HARD)
    with pytest.raises(KeyboardInterrupt):
        make_search(tmp_path, config).fit(raise_at(step, KeyboardInterrupt), nothing)
    make_search(tmp_path, config, resume=True).fit(nothing, nothing)
    assert_same(tmp_path, whole_search[0])


def test_a_killed_search_goes_on_from_its_last_save(whole_search, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY_S", -1.0)
    config = make_config(**HARD)
    with pytest.raises(PowerCutError):
        make_search(tmp_path, config).fit(raise_at(5, PowerCutError), nothing)
    make_search(tmp_path, config, resume=True).fit(nothing, nothing)
    assert_same(tmp_path, whole_search[0])


def test_a_finished_search_is_not_done_again(whole_search):
    folder, result = whole_search
    assert (
        make_search(folder, make_config(**HARD), resume=True).fit(
            raise_at(1, PowerCutError), nothing
        )
        == result
    )


def test_a_folder_is_not_overwritten_and_not_gone_on_with_otherwise(whole_search):
    folder, _ = whole_search
    with pytest.raises(OutputError, match="--resume"):
        make_search(folder)
    with pytest.raises(ModelError, match=r"another .*order"):
        make_search(folder, resume=True)


def test_alpha_and_weights_learn_and_from_different_faces(tmp_path):
    search = make_search(tmp_path)
    before = {key: value.clone() for key, value in search.learner.network.state_dict().items()}
    alphas = [alpha.clone() for alpha in search.learner.alphas.parameters()]
    search.fit(nothing, nothing)
    after = search.learner.network.state_dict()
    assert not torch.equal(after["stem.0.weight"], before["stem.0.weight"])
    for alpha, old in zip(search.learner.alphas.parameters(), alphas, strict=True):
        assert not torch.equal(alpha, old)
    learning, judging = (
        {image.numpy().tobytes() for image in half.pixels_NCHW}
        for half in (search.learning, search.judging)
    )
    assert not learning & judging


def test_several_processes_share_one_gradient(tmp_path):
    class Two:
        num_processes = 2

        def reduce(self, flat, how):
            assert how == "mean"
            return (flat + torch.arange(len(flat))) / 2

    learner = make_search(tmp_path).learner
    learner.accelerator = Two()
    alphas = list(learner.alphas.parameters())
    learner._apply(learner.alpha_optimizer, alphas, [torch.zeros_like(one) for one in alphas])
    both = torch.cat([alpha.grad.flatten() for alpha in alphas])
    assert torch.equal(both, torch.arange(len(both)) / 2)
    assert [alpha.grad.shape for alpha in alphas] == [alpha.shape for alpha in alphas]


def test_alpha_waits(tmp_path):
    search = make_search(tmp_path, make_config(alpha_from=1))
    start = [alpha.clone() for alpha in search.learner.alphas.parameters()]
    records = []

    def check(record):
        records.append(record)
        same = [
            torch.equal(alpha, old)
            for alpha, old in zip(search.learner.alphas.parameters(), start, strict=True)
        ]
        assert all(same) is (record["epoch"] == 0)

    search.fit(nothing, check)
    assert [record["validation_loss"] is None for record in records] == [True, False]


def test_halves_share_every_class():
    faces = make_faces(21)
    one, other = halves(faces, seed=5)
    assert len(one) == 11
    assert len(other) == 10
    for label in (0, 3):
        counts = [int((half.labels_N == label).sum()) for half in (one, other)]
        assert abs(counts[0] - counts[1]) <= 1
    again, _ = halves(faces, seed=5)
    assert np.array_equal(one.images_NHW, again.images_NHW)


def test_early_stop_keeps_the_genotype_before(tmp_path, monkeypatch):
    answers = iter([False, True])
    monkeypatch.setattr(loop, "has_collapsed", lambda _normal, _guards: next(answers))
    stage = replace(STAGE, epochs=4)
    search = make_search(tmp_path, make_config(stage=stage, guards=("early-stop",)))
    result = search.fit(nothing, nothing)
    records = read_metrics(tmp_path)
    assert result["stopped"]
    assert result["epochs"] == len(records) == 2
    assert genotype_document(load_genotype(tmp_path / GENOTYPE_FILE)) == records[0]["genotype"]
    again = make_search(tmp_path, make_config(stage=stage, guards=("early-stop",)), resume=True)
    assert again.fit(raise_at(1, PowerCutError), nothing)["stopped"]


def test_a_budget_moves_alpha_to_what_is_fast(tmp_path):
    table, path = make_table(), tmp_path / "table.json"
    path.write_text(json.dumps(table_document(table)))
    stage = replace(STAGE, epochs=3)
    expected = {}
    for name, budget_ms in (("plain", 0.0), ("aware", 2.5)):
        config = make_config(stage=stage, table=str(path), budget_ms=budget_ms, latency_weight=20.0)
        make_search(tmp_path / name, config).fit(nothing, nothing)
        records = read_metrics(tmp_path / name)
        expected[name] = [record["expected_ms"] for record in records]
        last = parse_genotype(records[-1]["genotype"])
        assert records[-1]["predicted_ms"]["int8"] == pytest.approx(table.predict_ms(last, "int8"))
        assert records[-1]["kept_ms"] == pytest.approx(table.predict_ms(last, "int8"))
    assert expected["aware"][-1] < 0.9 * expected["aware"][0]
    assert expected["aware"][-1] < 0.9 * expected["plain"][-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guards": ("luck",)}, "unknown guard 'luck'"),
        ({"order": 3}, "order 3"),
        ({"budget_ms": 2.0}, "--table"),
        ({"alpha_from": 2}, "never learns"),
        ({"final": replace(SPACE, nodes=7)}, "nodes that are searched"),
        ({"space": replace(SPACE, channels=6), "guards": ("partial-channels",)}, "4 equal parts"),
        ({"alpha_learning_rate": 0.0}, "above 0"),
        ({"seed": -1}, "below 0"),
    ],
)
def test_settings_that_make_no_search(changes, message):
    with pytest.raises(EdgeFerError, match=message):
        make_config(**changes)


def test_too_few_faces(tmp_path):
    with pytest.raises(EdgeFerError, match=r"7 faces are too few.*--batch-size"):
        Search(make_config(), make_faces(7), tmp_path)
