import csv
import json

import numpy as np
import pytest

from edge_fer.data.protocols import leave_one_subject_out, write_protocol
from edge_fer.data.spec import read_dataset, read_fold
from edge_fer.errors import DataError, EdgeFerError, OutputError
from edge_fer.evaluate.predict import torch_logits
from edge_fer.sweep import trial as trials
from edge_fer.sweep.check import plan
from edge_fer.sweep.lock import Lock, LostLockError
from edge_fer.sweep.outcome import folder_of, read_outcome, read_predictions
from edge_fer.sweep.page import write_report
from edge_fer.sweep.request import read_sweep
from edge_fer.sweep.runners import run_here
from edge_fer.sweep.sweep import run_sweep
from edge_fer.train.checkpoint import load_checkpoint

AXES = ("[axes]", "options.width = [3, 5]", "seed = [0, 1]")


@pytest.fixture
def run(write_sweep, tmp_path):
    """``run(*lines)`` runs the sweep of those lines; ``run.steps`` are the trials that ended."""

    def go(*lines, out="out", head=None, **how):
        sweep = read_sweep(write_sweep(*lines, head=head))
        go.sweep, go.out, go.steps = sweep, tmp_path / out, []

        def runner(left, folder):
            return run_here(left, folder, command="a test", announce=lambda _: None)

        return run_sweep(sweep, go.out, runner, "a test", go.steps.append, **how)

    return go


def interrupt_after(monkeypatch, steps):
    """Ctrl-C at a step of training, counted over all trials."""
    left = [steps]

    def check(self):
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(Lock, "check", check)


def test_a_sweep_has_a_row_per_setting_and_the_spread_over_seeds(run):
    document = run(*AXES)
    assert document == json.loads((run.out / "sweep.json").read_text())
    assert document["schema"] == "edge-fer/sweep/1"
    assert [row["settings"] for row in document["rows"]] == [
        {"options.width": 3},
        {"options.width": 5},
    ]
    accuracies = [trial["accuracy"] for trial in document["trials"]]
    for row, pair in zip(document["rows"], (accuracies[:2], accuracies[2:]), strict=True):
        assert (row["planned"], row["finished"], row["failed"]) == (2, 2, 0)
        figure = row["figures"]["accuracy"]
        assert figure["n"] == 2
        assert figure["mean"] == pytest.approx(np.mean(pair))
        assert figure["sd"] == pytest.approx(np.std(pair, ddof=1))
        half = 12.7062 * figure["sd"] / 2**0.5
        assert figure["ci95"] == pytest.approx(
            [figure["mean"] - half, figure["mean"] + half], abs=1e-5
        )
    assert [trial["n"] for trial in document["trials"]] == [16] * 4
    assert [step.done for step in run.steps] == [1, 2, 3, 4]
    assert run.steps[-1].seconds_left == 0


def test_the_csv_has_the_same_figures(run):
    document = run(*AXES)
    lines = list(csv.DictReader((run.out / "sweep.csv").read_text().splitlines()))
    assert [line["options.width"] for line in lines] == ["3", "5"]
    for line, row in zip(lines, document["rows"], strict=True):
        assert float(line["uar mean"]) == row["figures"]["uar"]["mean"]
        assert float(line["uar ci95_low"]) == row["figures"]["uar"]["ci95"][0]
        assert line["finished"] == "2"


def test_finished_trials_are_not_repeated_and_new_ones_are_added(run, monkeypatch):
    first = run("[axes]", "seed = [0, 1]")
    with monkeypatch.context() as patch:
        patch.setattr(trials, "open_run", None)
        assert run("[axes]", "seed = [0, 1]", resume=True)["rows"] == first["rows"]
    assert not run.steps
    more = run("[axes]", "seed = [0, 1, 2]", resume=True)
    assert [step.outcome.trial.config.seed for step in run.steps] == [2]
    assert more["trials"][:2] == first["trials"]


def test_a_result_of_other_settings_does_not_count(run):
    run("[axes]", "seed = [0]")
    (trial,) = plan(run.sweep)
    result = run.out / "trials" / trial.id / "result.json"
    result.write_text(result.read_text().replace(trial.digest, "0" * 64))
    assert read_outcome(run.out, trial).status == "open"
    result.write_text("{")
    assert read_outcome(run.out, trial).status == "open"


@pytest.mark.parametrize("steps", [2, 9, 15, 28])
def test_an_interrupted_sweep_goes_on_inside_the_trial_and_ends_the_same(run, monkeypatch, steps):
    whole = run(*AXES, out="whole")
    with monkeypatch.context() as patch:
        interrupt_after(patch, steps)
        with pytest.raises(KeyboardInterrupt):
            run(*AXES)
    partial = json.loads((run.out / "sweep.json").read_text())
    finished = sum(row["finished"] for row in partial["rows"])
    assert finished == len(run.steps) < 4
    document = run(*AXES, resume=True)
    assert len(run.steps) == 4 - finished
    assert document["rows"] == whole["rows"]
    for trial in plan(run.sweep):
        mine, theirs = (
            read_predictions(out, trial).probabilities_NK
            for out in (run.out, run.out.parent / "whole")
        )
        assert np.array_equal(mine, theirs)


def test_a_failed_trial_is_recorded_and_tried_again(run, monkeypatch):
    def refuse(config, folder, command):
        if config.seed == 1:
            raise EdgeFerError("the disk\nis full")
        if config.seed == 2:
            raise RuntimeError("a bug")
        return open_run(config, folder, command)

    open_run = trials.open_run
    with monkeypatch.context() as patch:
        patch.setattr(trials, "open_run", refuse)
        document = run("[axes]", "seed = [0, 1, 2]")
    assert [t["status"] for t in document["trials"]] == ["finished", "failed", "failed"]
    assert [t["error"] for t in document["trials"]] == [
        None,
        "the disk is full",
        "RuntimeError: a bug",
    ]
    assert document["rows"][0]["figures"]["accuracy"]["n"] == 1
    document = run("[axes]", "seed = [0, 1, 2]", resume=True)
    assert [t["status"] for t in document["trials"]] == ["finished"] * 3
    assert [step.outcome.trial.config.seed for step in run.steps] == [1, 2]


def test_a_worker_that_lost_its_trial_takes_it_up_again_once_it_is_free(run, monkeypatch):
    calls = []

    def lose_once(self):
        calls.append(self)
        if len(calls) == 3:
            raise LostLockError

    monkeypatch.setattr(Lock, "check", lose_once)
    assert run("[axes]", "seed = [0]")["rows"][0]["finished"] == 1
    assert len({id(lock) for lock in calls}) == 2


def test_a_folder_with_a_sweep_needs_resume_or_force(run):
    run("[axes]", "seed = [0]")
    with pytest.raises(OutputError, match="--resume to go on, --force to replace"):
        run("[axes]", "seed = [0]")
    run("[axes]", "seed = [0]", force=True)
    assert len(run.steps) == 1


def test_predictions_that_are_gone_are_named(run):
    run("[axes]", "seed = [0]")
    (trial,) = plan(run.sweep)
    (folder_of(run.out, trial) / "predictions.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"predictions\.npz: not readable"):
        read_predictions(run.out, trial)


@pytest.fixture
def loso(flow_npz, tmp_path):
    """Head of a sweep that leaves one subject out, on flow images."""
    protocol = tmp_path / "loso.json"
    dataset = read_dataset(f"megc2019:{flow_npz}")
    write_protocol(protocol, dataset, leave_one_subject_out(dataset))
    return (
        'schema = "edge-fer/sweep/1"\nmodel = "tiny-rgb"\nprecision = "float32"\nset.epochs = 2\n'
        f'data = "megc2019:{flow_npz}"\nprotocol = "{protocol}"\nweights = "last"\n'
    )


def test_folds_are_pooled_and_scored_by_database(loso, run, write_sweep, tmp_path):
    document = run("[axes]", "seed = [0, 1]", 'fold = "all"', head=loso)
    sweep, out = run.sweep, run.out
    (row,) = document["rows"]
    assert [seed["pooled"]["n"] for seed in row["seeds"]] == [9, 9]
    assert row["figures"]["samm uf1"]["n"] == 2
    predictions = [read_predictions(out, trial) for trial in plan(sweep) if trial.config.seed == 0]
    right = np.concatenate([fold.predicted == fold.labels_N for fold in predictions])
    assert len(right) == 9
    assert row["seeds"][0]["figures"]["accuracy"] == right.mean()
    write_report(tmp_path / "page.html", document)
    page = (tmp_path / "page.html").read_text()
    assert "samm UF1 %" in page
    assert page.count("<svg") == 2
    (folder_of(out, plan(sweep)[0]) / "result.json").unlink()
    document = run_sweep(sweep, out, lambda *_: iter(()), "", lambda _: None, resume=True)
    assert [seed["complete"] for seed in document["rows"][0]["seeds"]] == [False, True]
    assert document["rows"][0]["figures"]["accuracy"]["n"] == 1


def test_flow_is_judged_as_it_was_trained(loso, write_sweep, tmp_path, flow_npz):
    """The checkpoint says the same of the validation clips as training did."""
    file = write_sweep("[axes]", 'fold = ["samm/s1"]', head=loso)
    (trial,) = plan(read_sweep(file))
    assert trials.attempt(trial, tmp_path, "a test") == ""
    folder = folder_of(tmp_path, trial)
    clips = read_fold(trial.config.data, tmp_path / "loso.json", "samm/s1", "validation")
    assert clips.images_NHW.shape[1:] == (28, 28, 3)
    assert {image.tobytes() for image in clips.images_NHW} <= {
        image.tobytes() for image in np.load(flow_npz)["flow"]
    }
    checkpoint = load_checkpoint(folder / "last.safetensors")
    assert checkpoint.preprocessing.color == "flow"
    logits_NK = torch_logits(checkpoint.network, clips.images_NHW, checkpoint.preprocessing)
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    shifted = logits_NK - logits_NK.max(1, keepdims=True)
    log_NK = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    loss = -log_NK[np.arange(len(clips)), clips.labels_N].mean()
    assert loss == pytest.approx(last["validation_loss"], abs=1e-5)
