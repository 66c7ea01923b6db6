import contextlib
import json
import math
import resource
from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_fer.data.augment import Augmentation
from edge_fer.errors import DataError, EdgeFerError, ModelError, OutputError
from edge_fer.train import lesson, loop
from edge_fer.train.checkpoint import load_checkpoint
from edge_fer.train.config import Stage, TrainConfig
from edge_fer.train.loop import Run
from edge_fer.train.state import load_state

STAGE = Stage(epochs=3, batch_size=10, warmup_epochs=1, learning_rate=0.05)
CONFIG = TrainConfig(model="tiny", data="fer2013:somewhere", stages=(STAGE,), precision="float32")
STEPS = 12  # 40 faces in batches of 10, 3 epochs


class PowerCutError(Exception):
    """Stands for a power cut: nothing of ours runs after it."""


def with_stage(**changes):
    """``CONFIG`` with a changed stage."""
    return replace(CONFIG, stages=(replace(STAGE, **changes),))


def nothing(record):
    """A report that nobody reads."""


def raise_at(number, error):
    """A report that raises at its ``number``-th call."""
    calls = []

    def report(record):
        calls.append(record)
        if len(calls) == number:
            raise error

    return report


@pytest.fixture
def make_run(train_faces, validation_faces):
    def make(folder, config=CONFIG, *, resume=False, force=False):
        run = Run(config, train_faces, validation_faces, folder, "edge-fer train tiny")
        run.start(resume=resume, force=force)
        return run

    return make


@pytest.fixture
def whole_run(make_run, tmp_path):
    folder = tmp_path / "whole"
    result = make_run(folder).fit(nothing, nothing)
    return folder, result


def metrics(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "images_per_s"} for line in lines]


def assert_same_run(folder, expected):
    """Bit-identical weights, averages, momenta and best checkpoint, and the same metrics."""
    groups, progress = load_state(folder / "state.safetensors")
    expected_groups, expected_progress = load_state(expected / "state.safetensors")
    assert progress == expected_progress
    assert groups.keys() == expected_groups.keys()
    assert groups.keys() >= {"weights", "average", "optimizer.momentum_buffer"}
    for group, tensors in groups.items():
        assert tensors.keys() == expected_groups[group].keys()
        for name, tensor in tensors.items():
            assert torch.equal(tensor, expected_groups[group][name]), (group, name)
    assert metrics(folder) == metrics(expected)
    best, expected_best = (load_checkpoint(f / "best.safetensors") for f in (folder, expected))
    for name, tensor in best.network.state_dict().items():
        assert torch.equal(tensor, expected_best.network.state_dict()[name]), name


def test_a_run_learns_to_tell_dark_from_bright(make_run, tmp_path):
    result = make_run(tmp_path / "run", with_stage(epochs=8)).fit(nothing, nothing)
    assert result["best_accuracy"] > 0.9
    assert metrics(tmp_path / "run")[-1]["train_loss"] < metrics(tmp_path / "run")[0]["train_loss"]


def test_the_same_seed_gives_the_same_run(make_run, whole_run, tmp_path):
    make_run(tmp_path / "again").fit(nothing, nothing)
    assert_same_run(tmp_path / "again", whole_run[0])


def test_another_seed_gives_another_run(make_run, whole_run, tmp_path):
    make_run(tmp_path / "other", replace(CONFIG, seed=1)).fit(nothing, nothing)
    assert metrics(tmp_path / "other") != metrics(whole_run[0])


@pytest.mark.parametrize("step", [1, 3, 4, 5, 11, 12])
def test_an_interrupted_and_resumed_run_ends_as_an_uninterrupted_one(
    make_run, whole_run, tmp_path, step
):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        make_run(folder).fit(raise_at(step, KeyboardInterrupt), nothing)
    result = make_run(folder, resume=True).fit(nothing, nothing)
    assert_same_run(folder, whole_run[0])
    assert result["best_accuracy"] == whole_run[1]["best_accuracy"]
    assert result["best_epoch"] == whole_run[1]["best_epoch"]


def test_a_run_that_is_interrupted_at_every_step_ends_as_an_uninterrupted_one(
    make_run, whole_run, tmp_path
):
    folder = tmp_path / "run"
    for number in range(STEPS):
        with pytest.raises(KeyboardInterrupt):
            make_run(folder, resume=number > 0).fit(raise_at(1, KeyboardInterrupt), nothing)
    make_run(folder, resume=True).fit(nothing, nothing)
    assert_same_run(folder, whole_run[0])


@pytest.mark.parametrize("step", [2, 5, 8])
def test_a_killed_run_goes_on_from_its_last_save(make_run, whole_run, tmp_path, monkeypatch, step):
    monkeypatch.setattr(loop, "SAVE_EVERY_S", -1.0)
    folder = tmp_path / "run"
    with pytest.raises(PowerCutError):
        make_run(folder).fit(raise_at(step, PowerCutError), nothing)
    resumed = make_run(folder, resume=True)
    assert (resumed.progress.epoch, resumed.progress.step) == divmod(step - 1, 4)
    resumed.fit(nothing, nothing)
    assert_same_run(folder, whole_run[0])


@pytest.mark.parametrize("call", [1, 6])
@pytest.mark.parametrize(("module", "place"), [(loop, "averaged"), (lesson, "augment")])
def test_ctrl_c_in_the_middle_of_a_step_does_not_change_the_run(
    make_run, whole_run, tmp_path, monkeypatch, module, place, call
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(module, place, interrupted_at(call, getattr(module, place)))
        with pytest.raises(KeyboardInterrupt):
            make_run(folder).fit(nothing, nothing)
    make_run(folder, resume=True).fit(nothing, nothing)
    assert_same_run(folder, whole_run[0])


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("place", ["append_metrics", "save_state"])
def test_ctrl_c_between_two_epochs_does_not_change_the_run(
    make_run, whole_run, tmp_path, monkeypatch, place, call
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(loop, place, interrupted_at(call, getattr(loop, place)))
        with pytest.raises(KeyboardInterrupt):
            make_run(folder).fit(nothing, nothing)
    make_run(folder, resume=True).fit(nothing, nothing)
    assert_same_run(folder, whole_run[0])


def test_ctrl_c_while_the_best_checkpoint_is_written_does_not_lose_it(
    make_run, whole_run, tmp_path, monkeypatch
):
    accuracies = [-1.0, *(record["validation_accuracy"] for record in metrics(whole_run[0]))]
    times_best = sum(new > max(accuracies[: i + 1]) for i, new in enumerate(accuracies[1:]))
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_checkpoint", interrupted_at(times_best, loop.save_checkpoint))
        with pytest.raises(KeyboardInterrupt):
            make_run(folder).fit(nothing, nothing)
    make_run(folder, resume=True).fit(nothing, nothing)
    assert_same_run(folder, whole_run[0])


def interrupted_at(call, function):
    """``function``, but its ``call``-th call is interrupted by Ctrl-C before it does anything."""
    calls = []

    def wrapper(*args, **kwargs):
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt
        return function(*args, **kwargs)

    return wrapper


def test_a_half_written_line_of_metrics_does_not_stop_a_resumed_run(make_run, whole_run, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        make_run(folder).fit(raise_at(6, KeyboardInterrupt), nothing)
    with (folder / "metrics.jsonl").open("a") as stream:
        stream.write('{"epoch": 1, "learn')
    make_run(folder, resume=True).fit(nothing, nothing)
    assert_same_run(folder, whole_run[0])


def test_metrics_of_epochs_after_the_last_save_are_written_once(make_run, whole_run, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        make_run(folder).fit(raise_at(6, KeyboardInterrupt), nothing)
    with (folder / "metrics.jsonl").open("a") as stream:
        stream.write('{"epoch": 1, "train_loss": 0.0}\n')
    make_run(folder, resume=True).fit(nothing, nothing)
    assert metrics(folder) == metrics(whole_run[0])


def test_a_run_that_is_killed_before_its_first_save_goes_on(make_run, whole_run, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(PowerCutError):
        make_run(folder).fit(raise_at(3, PowerCutError), nothing)
    make_run(folder, resume=True).fit(nothing, nothing)
    assert_same_run(folder, whole_run[0])


def test_a_finished_run_stays_as_it_is_when_resumed(make_run, whole_run):
    folder, result = whole_run
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert make_run(folder, resume=True).fit(nothing, nothing) == result
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_resume_without_a_run_starts_one(make_run, whole_run, tmp_path):
    make_run(tmp_path / "new", resume=True).fit(nothing, nothing)
    assert_same_run(tmp_path / "new", whole_run[0])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rate": 0.2}, "learning_rate"),
        ({"epochs": 9}, "epochs"),
        ({"augmentation": Augmentation(flip=0.0)}, "augmentation.flip"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_resuming_with_another_configuration_is_refused_by_name(
    make_run, whole_run, changes, named
):
    with pytest.raises(EdgeFerError, match=named):
        make_run(whole_run[0], with_stage(**changes), resume=True)


def test_the_data_may_have_moved_when_a_run_is_resumed(make_run, whole_run):
    moved = replace(CONFIG, data="fer2013:elsewhere")
    assert make_run(whole_run[0], moved, resume=True).progress.epoch == 3


@pytest.mark.parametrize("name", ["config.json", "state.safetensors"])
def test_a_damaged_run_is_refused_by_the_damaged_file(make_run, whole_run, name):
    path = whole_run[0] / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ModelError, match=name):
        make_run(whole_run[0], resume=True)


def test_a_new_run_does_not_replace_an_old_one_without_force(make_run, whole_run):
    folder, _ = whole_run
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(OutputError, match="--force"):
        make_run(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_trained_checkpoint_is_not_deleted_without_force(make_run, whole_run):
    folder, _ = whole_run
    (folder / "state.safetensors").unlink()
    with pytest.raises(OutputError, match="--force"):
        make_run(folder)
    assert (folder / "best.safetensors").is_file()


def test_force_starts_from_the_beginning(make_run, whole_run, tmp_path):
    make_run(tmp_path / "run", replace(CONFIG, seed=3)).fit(nothing, nothing)
    make_run(tmp_path / "run", force=True).fit(nothing, nothing)
    assert_same_run(tmp_path / "run", whole_run[0])


def test_a_file_in_the_place_of_the_run_is_an_output_error(make_run, tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(OutputError):
        make_run(tmp_path / "run")


def test_metrics_are_one_json_line_per_epoch(whole_run):
    lines = (whole_run[0] / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in records] == [0, 1, 2]
    for record in records:
        assert set(record) >= {"train_loss", "train_accuracy", "validation_loss"}
        assert 0 <= record["validation_accuracy"] <= 1
        assert math.isfinite(record["train_loss"])


def test_the_learning_rate_warms_up_and_decays_to_zero(whole_run):
    rates = [record["learning_rate"] for record in metrics(whole_run[0])]
    assert rates[0] == pytest.approx(STAGE.learning_rate)
    assert rates[1] == pytest.approx(STAGE.learning_rate / 2)
    assert rates[2] == pytest.approx(0)


def test_each_step_and_epoch_is_reported(make_run, tmp_path):
    steps, epochs = [], []
    make_run(tmp_path / "run").fit(lambda r: steps.append(dict(r)), epochs.append)
    assert [(r["epoch"], r["step"]) for r in steps] == [
        (e, s) for e in range(3) for s in (1, 2, 3, 4)
    ]
    assert {r["steps"] for r in steps} == {4}
    assert [r["epoch"] for r in epochs] == [0, 1, 2]


def test_the_best_checkpoint_is_the_epoch_with_the_highest_accuracy(whole_run):
    folder, result = whole_run
    accuracies = [record["validation_accuracy"] for record in metrics(folder)]
    assert result["best_accuracy"] == max(accuracies)
    assert result["best_epoch"] == accuracies.index(max(accuracies))
    metadata = load_checkpoint(folder / "best.safetensors").metadata
    assert metadata["metrics"]["epoch"] == result["best_epoch"]
    assert metadata["metrics"]["validation_accuracy"] == result["best_accuracy"]


def test_the_checkpoint_says_where_it_comes_from_but_not_where_the_data_lies(whole_run):
    metadata = load_checkpoint(whole_run[0] / "best.safetensors").metadata
    assert (metadata["model"], metadata["data"]) == ("tiny", "fer2013")
    assert metadata["command"] == "edge-fer train tiny"
    assert metadata["input_nchw"] == [1, 1, 48, 48]
    assert metadata["config"]["seed"] == 0


def test_the_checkpoint_reaches_the_accuracy_that_it_claims(whole_run, validation_faces):
    checkpoint = load_checkpoint(whole_run[0] / "best.safetensors")
    x_NCHW = (torch.from_numpy(validation_faces.images_NHW).float().unsqueeze(1) - 128) / 128
    with torch.inference_mode():
        predicted_N = checkpoint.network(x_NCHW).argmax(1).numpy()
    accuracy = (predicted_N == validation_faces.labels_N).mean()
    assert accuracy == pytest.approx(checkpoint.metadata["metrics"]["validation_accuracy"])


def test_faces_without_labels_are_refused(train_faces, validation_faces, tmp_path):
    unlabelled = replace(train_faces, labels_N=np.full(len(train_faces), -1))
    for pair in ((unlabelled, validation_faces), (train_faces, unlabelled)):
        with pytest.raises(DataError, match="no label"):
            Run(CONFIG, *pair, tmp_path, "")


def test_fewer_faces_than_a_batch_still_train(make_run, tmp_path):
    config = with_stage(batch_size=512, epochs=1)
    assert make_run(tmp_path / "run", config).fit(nothing, nothing)["best_epoch"] == 0


@contextlib.contextmanager
def largest_file(limit_bytes):
    """Lets no file grow beyond a limit, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_output_error_and_the_last_save_stays(make_run, whole_run, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        make_run(folder).fit(raise_at(6, KeyboardInterrupt), nothing)
    run = make_run(folder, resume=True)
    with largest_file(1500), pytest.raises(OutputError):
        run.save()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    make_run(folder, resume=True).fit(nothing, nothing)
    assert_same_run(folder, whole_run[0])


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch_size": -1}, {"learning_rate": 0.0}])
def test_impossible_settings_are_refused_by_name(changes):
    with pytest.raises(EdgeFerError, match=next(iter(changes))):
        with_stage(**changes)


def test_an_unknown_precision_lists_the_known_ones():
    with pytest.raises(EdgeFerError, match="bfloat16"):
        replace(CONFIG, precision="float16")
