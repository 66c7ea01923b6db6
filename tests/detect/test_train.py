import json
import signal
from dataclasses import replace

import pytest
import torch

from edge_fer.detect.train import Data, DetectorRun, read_data
from edge_fer.errors import EdgeFerError, OutputError
from edge_fer.models.face_detector import FaceDetector
from edge_fer.train.checkpoint import load_checkpoint
from edge_fer.train.config import Stage, TrainConfig
from edge_fer.train.configure import configure

OPTIONS = {"scenes": 12, "checked": 4, "large_every": 3, "photo": 0.5, "empty": 0.3, "zoom": 1.0}
STAGE = Stage(
    epochs=2, batch_size=4, optimizer="adam", learning_rate=1e-3, warmup_epochs=1, clip_norm=10.0
)
CONFIG = TrainConfig(
    model="face-detector",
    data="detect:photos",
    stages=(STAGE,),
    options=OPTIONS,
    precision="float32",
)


@pytest.fixture(scope="module")
def data(pool):
    return Data(train=pool, validation=pool)


def nothing(_):
    """Hears of no progress."""


def fit(run, **start):
    run.start(**{"resume": False, "force": False} | start)
    return run.fit(nothing, nothing)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, fit(DetectorRun(CONFIG, data, folder, "edge-fer train"))


def weights_in(folder):
    return load_checkpoint(folder / "best.safetensors").network.state_dict()


def test_a_run_leaves_a_checkpoint_that_says_what_it_is(trained):
    folder, result = trained
    checkpoint = load_checkpoint(folder / "best.safetensors")
    assert isinstance(checkpoint.network, FaceDetector)
    assert checkpoint.metadata["task"] == "detect"
    assert checkpoint.metadata["input_nchw"] == [1, 1, 256, 320]
    assert set(checkpoint.metadata["min_score"]) == {"160", "320"}
    assert checkpoint.metadata["data"] == "detect"
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [0, 1]
    assert result["best"] == str(folder / "best.safetensors")


def test_a_stopped_run_goes_on_exactly(trained, data, tmp_path):
    steps = []

    def stop_in_the_second_epoch(step):
        steps.append(step)
        if len(steps) == 4:
            signal.raise_signal(signal.SIGINT)

    run = DetectorRun(CONFIG, data, tmp_path, "edge-fer train")
    run.start(resume=False, force=False)
    with pytest.raises(KeyboardInterrupt):
        run.fit(stop_in_the_second_epoch, nothing)
    assert len(steps) == 4
    fit(DetectorRun(CONFIG, data, tmp_path, "edge-fer train"), resume=True)
    expected = weights_in(trained[0])
    for name, weight in weights_in(tmp_path).items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=0)


def test_a_folder_with_a_run_is_not_overwritten(trained, data):
    with pytest.raises(OutputError, match="give --resume to go on"):
        DetectorRun(CONFIG, data, trained[0], "x").start(resume=False, force=False)


def test_another_configuration_cannot_go_on(trained, data):
    other = replace(CONFIG, stages=(replace(STAGE, learning_rate=0.5),))
    with pytest.raises(EdgeFerError, match="learning_rate"):
        DetectorRun(other, data, trained[0], "x").start(resume=True, force=False)


def test_it_starts_from_a_checkpoint(trained, data, tmp_path):
    config = replace(CONFIG, init=str(trained[0] / "best.safetensors"))
    run = DetectorRun(config, data, tmp_path, "x")
    expected = weights_in(trained[0])
    for name, weight in run.network.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=0)


def test_a_broken_loss_ends_in_one_line(data, tmp_path):
    run = DetectorRun(CONFIG, data, tmp_path, "x")
    with torch.no_grad():
        run.network.cells.bias.fill_(float("nan"))
    with pytest.raises(EdgeFerError, match="epoch 1, step 0"):
        fit(run)


def test_a_recipe_for_classifiers_is_refused(data, tmp_path):
    with pytest.raises(EdgeFerError, match="--recipe face-detector"):
        DetectorRun(replace(CONFIG, options={}), data, tmp_path, "x")


def test_what_is_for_classifiers_is_refused():
    with pytest.raises(EdgeFerError, match="no use for --input-px, --faces"):
        read_data(replace(CONFIG, input_px=48, faces=100), lambda *_: None)


def test_another_recipe_is_refused_before_data_are_read():
    with pytest.raises(EdgeFerError, match="--recipe face-detector"):
        read_data(replace(CONFIG, options={}), lambda *_: None)


def test_without_a_teacher_it_says_which():
    with pytest.raises(EdgeFerError, match="--teacher"):
        read_data(CONFIG, lambda *_: None)


def test_its_own_recipe_has_all_that_it_needs(data, tmp_path):
    config = configure("face-detector", {}, model="face-detector", data="detect:photos")
    assert DetectorRun(config, data, tmp_path, "x").stage.optimizer == "adam"
