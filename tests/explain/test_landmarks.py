"""Landmarks before and after fine-tuning, on a run whose answers are known."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from edge_fer.errors import ModelError
from edge_fer.explain.landmarks import distance, predict_landmarks, read_heads, read_run
from edge_fer.models.part_ensemble import PARTS
from edge_fer.train.checkpoint import load_checkpoint, save_checkpoint
from edge_fer.train.folder import BEST_FILE, HEADS_FILE, LANDMARKS_FILE


@pytest.fixture
def after(part_ensemble_run):
    return load_checkpoint(part_ensemble_run / BEST_FILE)


def test_heads_are_put_on_both_extractors(part_ensemble_run, after):
    run = read_run(part_ensemble_run, after)
    x_NCHW = torch.rand(3, 3, 32, 32)
    for ensemble, answer in ((run.before, (0.25, 0.5)), (run.after, (0.25, 0.75))):
        predicted = predict_landmarks(ensemble, run.heads, x_NCHW.split(2))
        assert {part: of.shape for part, of in predicted.items()} == {
            part: (3, len(points), 2) for part, points in PARTS.items()
        }
        for of_NP2 in predicted.values():
            np.testing.assert_allclose(of_NP2.reshape(-1, 2), [answer] * of_NP2[..., 0].size)


def test_distance_per_coordinate_and_against_the_eyes():
    labels_N682 = np.zeros((2, 68, 2), np.float32)
    labels_N682[:, 36] = (0.25, 0.5)
    labels_N682[0, 45] = (0.75, 0.5)
    labels_N682[1, 45] = (0.25, 0.75)
    predicted_NP2 = np.full((2, 20, 2), (0.1, 0.0))
    found = distance(predicted_NP2, labels_N682, PARTS["mouth"])
    assert found.l1 == pytest.approx(0.05)
    assert found.percent_of_eyes == pytest.approx((10 + 20) / 2)


def test_right_landmarks_have_no_distance():
    labels_N682 = np.random.default_rng(0).random((4, 68, 2), np.float32)
    found = distance(labels_N682[:, PARTS["eyes"]], labels_N682, PARTS["eyes"])
    assert (found.l1, found.percent_of_eyes) == (0, 0)


@pytest.mark.parametrize("name", [LANDMARKS_FILE, HEADS_FILE])
def test_missing_file(part_ensemble_run, after, name):
    (part_ensemble_run / name).unlink()
    with pytest.raises(ModelError, match=name):
        read_run(part_ensemble_run, after)


def test_damaged_heads(part_ensemble_run):
    (part_ensemble_run / HEADS_FILE).write_bytes(b"not tensors")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        read_heads(part_ensemble_run / HEADS_FILE)


@pytest.mark.parametrize("fault", ["missing", "shape"])
def test_head_that_does_not_fit(part_ensemble_run, after, fault):
    tensors = load_file(part_ensemble_run / HEADS_FILE)
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("nose.")}
    save_file(
        kept | ({"nose.0.weight": torch.zeros(1)} if fault == "shape" else {}),
        part_ensemble_run / HEADS_FILE,
    )
    run = read_run(part_ensemble_run, after)
    with pytest.raises(ModelError, match="head of nose"):
        predict_landmarks(run.after, run.heads, [torch.zeros(1, 3, 32, 32)])


def test_a_run_of_another_model(part_ensemble_run, after, part_ensemble_metadata):
    metadata = part_ensemble_metadata | {"model": "part-ftl"}
    weights = load_file(part_ensemble_run / LANDMARKS_FILE)
    parts = dict(zip(PARTS, (f"network_{number}" for number in range(1, 6)), strict=True))
    renamed = {
        ".".join(["networks", parts[name.split(".")[1]], *name.split(".")[2:]]): tensor
        for name, tensor in weights.items()
    }
    save_checkpoint(part_ensemble_run / LANDMARKS_FILE, renamed, metadata)
    with pytest.raises(ModelError, match="its model is not that of the checkpoint"):
        read_run(part_ensemble_run, after)


def test_a_model_without_landmarks(part_ensemble_run, trained_checkpoint):
    with pytest.raises(ModelError, match="part-ensemble"):
        read_run(part_ensemble_run, load_checkpoint(trained_checkpoint))
