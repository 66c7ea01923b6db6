"""Runs of several stages, and what ends a stage or a run."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_fer.errors import EdgeFerError, ModelError
from edge_fer.train import lesson, loop
from edge_fer.train.checkpoint import load_checkpoint, save_checkpoint
from edge_fer.train.config import Stage, TrainConfig
from edge_fer.train.loop import Run
from edge_fer.train.state import load_state
from edge_fer.train.teachers import answers_once

FIRST = Stage(name="first", epochs=2, batch_size=10, warmup_epochs=0, learning_rate=0.05)
SECOND = replace(FIRST, name="second", optimizer="adam", learning_rate=1e-3, clip_norm=1.0)
TWO = TrainConfig(
    model="tiny", data="fer2013:x", stages=(FIRST, SECOND), precision="float32", seed=1
)


def nothing(record):
    """A report that nobody reads."""


def interrupt_at(number):
    calls = []

    def report(record):
        calls.append(record)
        if len(calls) == number:
            raise KeyboardInterrupt

    return report


@pytest.fixture
def make_run(train_faces, validation_faces):
    def make(folder, config, *, resume=False, **more):
        run = Run(config, train_faces, validation_faces, folder, "", **more)
        run.start(resume=resume, force=False)
        return run

    return make


def metrics(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "images_per_s"} for line in lines]


def assert_same_state(folder, expected):
    groups, progress = load_state(folder / "state.safetensors")
    expected_groups, expected_progress = load_state(expected / "state.safetensors")
    assert progress == expected_progress
    assert groups.keys() == expected_groups.keys()
    for group, tensors in groups.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, expected_groups[group][name]), (group, name)


def test_stages_follow_each_other_and_count_epochs_on(make_run, tmp_path):
    make_run(tmp_path / "run", TWO).fit(nothing, nothing)
    assert [(r["stage"], r["epoch"]) for r in metrics(tmp_path / "run")] == [
        ("first", 0), ("first", 1), ("second", 2), ("second", 3),
    ]  # fmt: skip


@pytest.mark.parametrize("step", [3, 8, 9, 13])
def test_a_run_of_two_stages_resumes_exactly_at_any_step(make_run, tmp_path, step):
    whole, folder = tmp_path / "whole", tmp_path / "run"
    make_run(whole, TWO).fit(nothing, nothing)
    with pytest.raises(KeyboardInterrupt):
        make_run(folder, TWO).fit(interrupt_at(step), nothing)
    make_run(folder, TWO, resume=True).fit(nothing, nothing)
    assert_same_state(folder, whole)
    assert metrics(folder) == metrics(whole)


def test_a_stage_starts_from_the_best_weights_of_the_one_before(make_run, tmp_path, monkeypatch):
    frozen = replace(SECOND, learning_rate=1e-30, ema_decay=0.0, epochs=1)
    accuracies = iter([0.9, 0.1, 0.5])
    seen = []

    def fixed(examiner, *rest):
        seen.append({k: v.clone() for k, v in examiner.network.state_dict().items()})
        return {
            "validation_loss": 1.0, "validation_accuracy": next(accuracies), "validation_uar": 0.0,
        }  # fmt: skip

    monkeypatch.setattr(loop, "validate", fixed)
    make_run(tmp_path / "run", replace(TWO, stages=(FIRST, frozen))).fit(nothing, nothing)
    best, last, second = (state["classifier.weight"] for state in seen)
    assert torch.allclose(second, best, atol=1e-12)
    assert not torch.allclose(second, last, atol=1e-12)


def fixed_accuracies(monkeypatch, values):
    values = iter(values)

    def fixed(*_):
        value = next(values)
        return {
            "validation_loss": 1 - value, "validation_accuracy": value, "validation_uar": value,
        }  # fmt: skip

    monkeypatch.setattr(loop, "validate", fixed)


@pytest.mark.parametrize("monitor", ["accuracy", "loss"])
def test_patience_ends_a_stage(make_run, tmp_path, monkeypatch, monitor):
    fixed_accuracies(monkeypatch, [0.3, 0.5, 0.4, 0.4, 0.4, 0.9])
    stage = replace(FIRST, epochs=9, patience=3, monitor=monitor)
    result = make_run(tmp_path / "run", replace(TWO, stages=(stage,))).fit(nothing, nothing)
    assert len(metrics(tmp_path / "run")) == 5
    assert result["best_accuracy"] == 0.5
    assert result["best_epoch"] == 1


def test_a_plateau_cuts_the_learning_rate_again_and_again(make_run, tmp_path, monkeypatch):
    fixed_accuracies(monkeypatch, [0.3, 0.2, 0.2, 0.2, 0.2, 0.4])
    stage = replace(
        FIRST, epochs=6, schedule="plateau", decay=0.1, decay_epochs=2, learning_rate=0.1
    )
    rates = []
    run = make_run(tmp_path / "run", replace(TWO, stages=(stage,)))
    run.fit(nothing, lambda record: rates.append(run.optimizer.param_groups[0]["lr"]))
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.01, 0.001])


def test_a_loss_that_is_not_a_number_stops_the_run_and_spares_the_last_save(
    make_run, tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    stage = replace(FIRST, epochs=3)
    calls = []
    real = lesson.classification_loss

    def broken(*args):
        calls.append(1)
        return real(*args) * (float("nan") if len(calls) > 6 else 1)

    with monkeypatch.context() as patched:
        patched.setattr(lesson, "classification_loss", broken)
        with pytest.raises(EdgeFerError, match=r"not a number.*epoch 2.*learning rate"):
            make_run(folder, replace(TWO, stages=(stage,))).fit(nothing, nothing)
    groups, progress = load_state(folder / "state.safetensors")
    assert (progress.epoch, progress.step) == (1, 0)
    assert all(tensor.isfinite().all() for tensor in groups["weights"].values())
    assert load_checkpoint(folder / "best.safetensors")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory"),
    ],
)
def test_out_of_memory_says_what_to_do(make_run, tmp_path, monkeypatch, error):
    def starve(*_args, **_more):
        raise error

    monkeypatch.setattr(lesson, "augment", starve)
    with pytest.raises(EdgeFerError, match="--batch-size 5"):
        make_run(tmp_path / "run", TWO).fit(nothing, nothing)


def test_another_runtime_error_stays_what_it_is(make_run, tmp_path, monkeypatch):
    def fail(*_args, **_more):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(lesson, "augment", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        make_run(tmp_path / "run", TWO).fit(nothing, nothing)


def test_a_teacher_is_heard(make_run, tmp_path):
    make_run(tmp_path / "teacher", replace(TWO, stages=(FIRST,))).fit(nothing, nothing)
    teacher = str(tmp_path / "teacher" / "best.safetensors")
    stage = replace(FIRST, distill=1.0, epochs=1, mix=0.5)
    taught = replace(TWO, stages=(stage,), teachers=(teacher,), seed=2)
    make_run(tmp_path / "taught", taught).fit(nothing, nothing)
    alone = replace(TWO, stages=(replace(stage, distill=0.0),), seed=2)
    make_run(tmp_path / "alone", alone).fit(nothing, nothing)
    assert metrics(tmp_path / "taught")[0] != metrics(tmp_path / "alone")[0]


def test_a_teacher_is_asked_once_and_again_by_a_resumed_run(make_run, tmp_path, monkeypatch):
    make_run(tmp_path / "teacher", replace(TWO, stages=(FIRST,))).fit(nothing, nothing)
    teacher = str(tmp_path / "teacher" / "best.safetensors")
    stage = replace(FIRST, distill=0.7, distill_once=True)
    config = replace(TWO, stages=(stage,), teachers=(teacher,), seed=2)
    asked = []

    def counted(*arguments):
        asked.append(None)
        return answers_once(*arguments)

    monkeypatch.setattr(loop, "answers_once", counted)
    make_run(tmp_path / "whole", config).fit(nothing, nothing)
    assert len(asked) == 1
    with pytest.raises(KeyboardInterrupt):
        make_run(tmp_path / "run", config).fit(interrupt_at(3), nothing)
    make_run(tmp_path / "run", config, resume=True).fit(nothing, nothing)
    assert_same_state(tmp_path / "run", tmp_path / "whole")


def test_a_teacher_of_other_classes_is_refused(make_run, tmp_path, train_faces, validation_faces):
    other = [replace(f, label_names=("a", "b", "c", "d")) for f in (train_faces, validation_faces)]
    run = Run(replace(TWO, stages=(FIRST,)), *other, tmp_path / "teacher", "")
    run.start(resume=False, force=False)
    run.fit(nothing, nothing)
    teacher = str(tmp_path / "teacher" / "best.safetensors")
    with pytest.raises(ModelError, match="a teacher of a, b, c, d"):
        make_run(tmp_path / "run", replace(TWO, teachers=(teacher,)))


PARTS = TrainConfig(
    model="part-ensemble",
    data="fer2013:x",
    stages=(
        replace(FIRST, name="landmarks", target="landmarks", epochs=1, ema_decay=0.0),
        replace(FIRST, name="head", trained="head", epochs=1, ema_decay=0.0),
    ),
    input_px=32,
    precision="float32",
)


def test_an_ensemble_of_parts_learns_landmarks_first(
    make_run, tmp_path, train_faces, validation_faces
):
    points = tuple(
        np.full((len(faces), 68, 2), 0.5, np.float32) for faces in (train_faces, validation_faces)
    )
    run = make_run(tmp_path / "run", PARTS, points_NP2=points)
    run.fit(nothing, nothing)
    first, second = metrics(tmp_path / "run")
    assert first["validation_accuracy"] is None
    assert second["validation_accuracy"] is not None
    before, after = (
        load_checkpoint(tmp_path / "run" / f"{name}.safetensors").network.state_dict()
        for name in ("landmarks", "best")
    )
    kept = "networks.eyes.extractor.0.weight"
    assert torch.equal(before[kept], after[kept])
    assert not torch.equal(
        before["networks.eyes.head.0.weight"], after["networks.eyes.head.0.weight"]
    )
    assert (tmp_path / "run" / "landmark-heads.safetensors").is_file()
    resumed = make_run(tmp_path / "run", PARTS, resume=True, points_NP2=points)
    assert resumed.fit(nothing, nothing)["best_epoch"] == 1


def test_landmarks_that_are_not_there_are_asked_for(make_run, tmp_path):
    with pytest.raises(EdgeFerError, match="--landmarks FILE"):
        make_run(tmp_path / "run", PARTS).fit(nothing, nothing)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"stages": ()}, "at least one stage"),
        ({"stages": (FIRST, FIRST)}, "one name"),
        ({"stages": (replace(FIRST, target="landmarks"),)}, "last stage"),
        ({"stages": (replace(FIRST, distill=0.5),)}, "--teacher"),
        ({"faces": -1}, "faces"),
    ],
)
def test_impossible_runs_are_refused(changes, named):
    with pytest.raises(EdgeFerError, match=named):
        replace(TWO, **changes)


def test_a_run_starts_from_a_checkpoint(make_run, tmp_path):
    make_run(tmp_path / "first", replace(TWO, stages=(FIRST,))).fit(nothing, nothing)
    path = tmp_path / "first" / "best.safetensors"
    run = make_run(tmp_path / "second", replace(TWO, init=str(path), seed=5))
    for name, tensor in load_checkpoint(path).network.state_dict().items():
        assert torch.equal(run.network.state_dict()[name], tensor)
    run.fit(nothing, nothing)


def test_a_start_keeps_its_input_but_for_a_size_that_is_asked_for(make_run, tmp_path):
    make_run(tmp_path / "first", replace(TWO, stages=(FIRST,))).fit(nothing, nothing)
    path = str(tmp_path / "first" / "best.safetensors")
    same = make_run(tmp_path / "same", replace(TWO, init=path))
    assert same.input_chw == (1, 48, 48)
    make_run(tmp_path / "larger", replace(TWO, init=path, input_px=56)).fit(nothing, nothing)
    larger = load_checkpoint(tmp_path / "larger" / "best.safetensors")
    assert larger.metadata["input_nchw"] == [1, 1, 56, 56]
    assert (larger.preprocessing.height_px, larger.preprocessing.width_px) == (56, 56)


def test_a_narrower_checkpoint_is_trained_on_at_its_widths(make_run, tmp_path):
    make_run(tmp_path / "wide", replace(TWO, stages=(FIRST,))).fit(nothing, nothing)
    checkpoint = load_checkpoint(tmp_path / "wide" / "best.safetensors")
    weights = checkpoint.network.state_dict()
    weights["features.4.weight"] = weights["features.4.weight"][:5]
    weights["features.4.bias"] = weights["features.4.bias"][:5]
    weights["classifier.weight"] = weights["classifier.weight"][:, :5]
    path = tmp_path / "narrow.safetensors"
    kept = checkpoint.preprocessing.to_dict() | {"crop_scale": 1.5}
    save_checkpoint(path, weights, checkpoint.metadata | {"pruned": True, "preprocessing": kept})
    run = make_run(tmp_path / "run", replace(TWO, init=str(path)))
    with pytest.raises(KeyboardInterrupt):
        run.fit(interrupt_at(6), nothing)
    resumed = make_run(tmp_path / "run", replace(TWO, init=str(path)), resume=True)
    resumed.fit(nothing, nothing)
    trained = load_checkpoint(tmp_path / "run" / "best.safetensors")
    assert tuple(trained.network.classifier.weight.shape) == (7, 5)
    assert trained.preprocessing.crop_scale == 1.5


def test_a_checkpoint_of_another_model_is_no_start(make_run, tmp_path, trained_checkpoint):
    with pytest.raises(ModelError, match="a checkpoint of arch-1 is no start"):
        make_run(tmp_path / "run", replace(TWO, init=str(trained_checkpoint)))


def test_a_rounded_stage_trains_an_ordinary_network(make_run, tmp_path):
    rounded = replace(SECOND, fake_quant=True)
    run = make_run(tmp_path / "run", replace(TWO, stages=(FIRST, rounded)))
    with pytest.raises(KeyboardInterrupt):
        run.fit(interrupt_at(13), nothing)
    config = replace(TWO, stages=(FIRST, rounded))
    make_run(tmp_path / "run", config, resume=True).fit(nothing, nothing)
    make_run(tmp_path / "whole", config).fit(nothing, nothing)
    assert_same_state(tmp_path / "run", tmp_path / "whole")
    make_run(tmp_path / "float", TWO).fit(nothing, nothing)
    assert metrics(tmp_path / "float")[-1] != metrics(tmp_path / "whole")[-1]
    assert load_checkpoint(tmp_path / "whole" / "best.safetensors")
