import json
import pickle
import re
import resource
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from edge_fer.errors import ModelError, OutputError
from edge_fer.models import build_model
from edge_fer.preprocess import Preprocessing
from edge_fer.train.checkpoint import (
    Checkpoint,
    averaged,
    load_checkpoint,
    save_checkpoint,
    start_from,
)

METADATA = {
    "model": "tiny",
    "options": {},
    "labels": ["a", "b", "c"],
    "input_nchw": [1, 1, 48, 48],
    "preprocessing": Preprocessing().to_dict(),
    "seed": 7,
}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_model("tiny", num_classes=3).eval()


@pytest.fixture
def checkpoint(network, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, network.state_dict(), METADATA)
    return path


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_gives_the_same_logits_and_metadata_back(network, checkpoint):
    loaded = load_checkpoint(checkpoint)
    x_NCHW = torch.rand(2, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    assert not loaded.network.training
    assert torch.equal(loaded.network(x_NCHW), network(x_NCHW))
    assert loaded.labels == ("a", "b", "c")
    assert loaded.preprocessing == Preprocessing()
    assert METADATA.items() <= loaded.metadata.items()


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.pkl", "model.ckpt"])
def test_a_pickled_checkpoint_is_refused_with_the_way_out(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ModelError, match=r"\.safetensors"):
        load_checkpoint(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_a_pickle_under_another_name_is_refused_and_not_run(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(ModelError):
        load_checkpoint(file)
    torch.save({"weight": Trap(tmp_path / "sprung")}, file)
    with pytest.raises(ModelError):
        load_checkpoint(file)
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(ModelError, match=r"none\.safetensors"):
        load_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 300, -1])
def test_a_truncated_checkpoint_is_refused(checkpoint, kept):
    checkpoint.write_bytes(checkpoint.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"tiny\.safetensors"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "metadata",
    [None, {"format": "pt"}, {"edge_fer": "{}"}, {"edge_fer": "no json"}, {"edge_fer": "[1]"}],
    ids=str,
)
def test_somebody_elses_safetensors_is_refused(tmp_path, metadata):
    path = tmp_path / "other.safetensors"
    save_file({"w": torch.zeros(2)}, path, metadata=metadata)
    with pytest.raises(ModelError, match=r"other\.safetensors"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "edge-fer/checkpoint/99"},
        {"model": "no-such-model"},
        {"labels": ["a", "b"]},
        {"input_nchw": [1, 3, 48, 48]},
        {"options": {"depth": 3}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_metadata_that_does_not_fit_is_refused(network, tmp_path, changes):
    path = tmp_path / "tiny.safetensors"
    save_checkpoint(path, network.state_dict(), METADATA | changes)
    with pytest.raises(ModelError):
        load_checkpoint(path)


@pytest.mark.parametrize("key", ["model", "options", "labels", "input_nchw"])
def test_metadata_that_lacks_a_key_is_refused(network, tmp_path, key):
    path = tmp_path / "tiny.safetensors"
    rest = {k: v for k, v in METADATA.items() if k != key}
    save_checkpoint(path, network.state_dict(), rest)
    with pytest.raises(ModelError, match=key):
        load_checkpoint(path)


def test_weights_that_lack_a_tensor_are_refused(network, tmp_path):
    weights = network.state_dict()
    del weights["classifier.bias"]
    save_checkpoint(tmp_path / "tiny.safetensors", weights, METADATA)
    with pytest.raises(ModelError, match=r"classifier\.bias"):
        load_checkpoint(tmp_path / "tiny.safetensors")


def test_the_metadata_are_readable_without_torch(checkpoint):
    content = checkpoint.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    document = json.loads(header["__metadata__"]["edge_fer"])
    assert document["schema"] == "edge-fer/checkpoint/1"


def test_a_full_disk_is_an_output_error_and_the_old_checkpoint_stays(network, checkpoint):
    before = checkpoint.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OutputError):
            save_checkpoint(checkpoint, network.state_dict(), METADATA | {"seed": 8})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_checkpoint(checkpoint).metadata["seed"] == 7
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_the_average_moves_by_its_decay_and_copies_counters():
    average = {"w": torch.tensor([0.0, 10.0]), "batches": torch.tensor(3)}
    averaged({"w": torch.tensor([1.0, 20.0]), "batches": torch.tensor(9)}, average, decay=0.75)
    assert average["w"].tolist() == [0.25, 12.5]
    assert int(average["batches"]) == 9


@pytest.mark.parametrize("pruned", [False, True])
def test_other_labels_keep_the_outputs_that_both_have(network, checkpoint, pruned):
    metadata = load_checkpoint(checkpoint).metadata | {"pruned": pruned}
    origin = Checkpoint(network=network, metadata=metadata)
    other = build_model("tiny", num_classes=4)
    assert start_from(origin, other, "tiny", ("c", "new", "a", "other")) is pruned
    x_NCHW = torch.rand(2, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    theirs_NK, ours_NK = network(x_NCHW), other.eval()(x_NCHW)
    mean_N = theirs_NK.mean(1)
    expected_NK = torch.stack([theirs_NK[:, 2], mean_N, theirs_NK[:, 0], mean_N], 1)
    torch.testing.assert_close(ours_NK, expected_NK)


@pytest.mark.parametrize("pruned", [False, True])
def test_a_start_that_was_built_otherwise_names_its_options(tmp_path, pruned):
    options = {"widths": [8, 16], "blocks": [1, 1], "separable_from": 1}
    path = tmp_path / "separable.safetensors"
    weights = build_model("resnet", num_classes=3, **options).state_dict()
    save_checkpoint(
        path, weights, METADATA | {"model": "resnet", "options": options, "pruned": pruned}
    )
    start = load_checkpoint(path)
    other = build_model("resnet", num_classes=3, widths=[8, 16], blocks=[1, 2])
    given = "--option 'blocks=[1, 1]' --option 'separable_from=1' --option 'widths=[8, 16]'"
    named = f"reads 1 channels and was built with {given}"
    with pytest.raises(ModelError, match=re.escape(named)):
        start_from(start, other, "resnet", ("a", "b", "c"))
    same = build_model("resnet", num_classes=3, **options)
    assert start_from(start, same, "resnet", ("a", "b", "c")) is pruned
