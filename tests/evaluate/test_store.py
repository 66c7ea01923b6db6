import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_fer.bundle import MANIFEST, Bundle
from edge_fer.errors import ModelError, OutputError
from edge_fer.evaluate.store import store_class_scaling, store_temperature
from edge_fer.runtime.classifier import Classifier
from edge_fer.train.checkpoint import load_checkpoint

FITTED = {"data": "fer2013", "split": "PublicTest", "n": 3309}


@pytest.fixture
def checkpoint(trained_checkpoint, tmp_path):
    return Path(shutil.copy(trained_checkpoint, tmp_path / "best.safetensors"))


@pytest.fixture
def bundle(shipped_bundle, tmp_path):
    return Path(shutil.copytree(shipped_bundle, tmp_path / "bundle"))


def test_a_checkpoint_keeps_all_but_its_temperature(trained_checkpoint, checkpoint):
    store_temperature(checkpoint, 1.25, FITTED)
    before, after = load_checkpoint(trained_checkpoint), load_checkpoint(checkpoint)
    assert after.metadata == {
        **before.metadata, "temperature": 1.25, "temperature_fitted": FITTED,
    }  # fmt: skip
    old, new = before.network.state_dict(), after.network.state_dict()
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old)


def test_a_temperature_is_replaced_by_the_next(checkpoint):
    store_temperature(checkpoint, 2.0, FITTED)
    store_temperature(checkpoint, 1.5, FITTED)
    assert load_checkpoint(checkpoint).metadata["temperature"] == 1.5


def test_a_bundle_verifies_and_its_device_side_uses_the_temperature(shipped_bundle, bundle):
    store_temperature(bundle, 1.25, FITTED)
    before, after = Bundle.load(shipped_bundle), Bundle.load(bundle)
    assert after.manifest.temperature == 1.25
    assert after.manifest.provenance == {
        **before.manifest.provenance, "temperature_fitted": FITTED,
    }  # fmt: skip
    assert after.contents == before.contents
    assert Classifier(after, after.manifest.files[0], "litert").temperature == 1.25


def test_a_manifest_says_no_more_of_the_old_calibration(bundle):
    manifest = Bundle.load(bundle).manifest
    before = replace(manifest.files[0], accuracy={"accuracy": 0.7, "ece": 0.1})
    (bundle / MANIFEST).write_bytes(replace(manifest, files=(before,)).to_json())
    store_temperature(bundle, 1.25, FITTED)
    after = Bundle.load(bundle).manifest.files[0]
    assert after.accuracy == {"accuracy": 0.7}


def test_a_bundle_in_a_tar_is_refused(bundle, tmp_path):
    archive = tmp_path / "bundle.tar"
    with tarfile.open(archive, "w") as stream:
        stream.add(bundle, "bundle")
    content = archive.read_bytes()
    with pytest.raises(OutputError, match="unpack it first"):
        store_temperature(archive, 1.25, FITTED)
    assert archive.read_bytes() == content


def test_logits_that_no_layer_makes_alone_cannot_be_scaled(checkpoint, monkeypatch):
    content = checkpoint.read_bytes()
    monkeypatch.setattr("edge_fer.train.checkpoint.output_tensors", lambda _: [])
    with pytest.raises(ModelError, match="no weight and offset of each class alone"):
        store_class_scaling(checkpoint, np.full(7, 2.0), np.zeros(7), FITTED)
    assert checkpoint.read_bytes() == content


def test_scaled_logits_need_no_temperature(checkpoint):
    store_temperature(checkpoint, 2.0, FITTED)
    store_class_scaling(checkpoint, np.full(7, 0.5), np.zeros(7), FITTED)
    metadata = load_checkpoint(checkpoint).metadata
    assert metadata["classes_fitted"] == FITTED
    assert not {"temperature", "temperature_fitted"} & set(metadata)


@pytest.mark.parametrize("what", ["checkpoint", "bundle"])
def test_a_model_is_whole_when_writing_fails(what, shipped_bundle, checkpoint, bundle, monkeypatch):
    model = {"checkpoint": checkpoint, "bundle": bundle}[what]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge_fer.files._sync", full)
    with pytest.raises(OutputError, match="No space left"):
        store_temperature(model, 1.25, FITTED)
    if what == "bundle":
        assert Bundle.load(model).manifest == Bundle.load(shipped_bundle).manifest
    else:
        assert "temperature" not in load_checkpoint(model).metadata
    assert not list(checkpoint.parent.glob(".*"))
