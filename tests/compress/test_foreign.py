"""Models that edge-fer did not train: .pt2 and .onnx."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edge_fer.audit.request import audit
from edge_fer.bundle import Bundle
from edge_fer.compress.description import read_description
from edge_fer.compress.foreign import (
    READERS,
    ForeignRequest,
    described,
    is_foreign,
    quantize_foreign,
)
from edge_fer.compress.foreign_torch import open_pt2
from edge_fer.compress.gates import Limits
from edge_fer.compress.recipe import Recipe
from edge_fer.errors import EdgeFerError, ModelError
from edge_fer.export.quiet import quiet
from edge_fer.runtime.classifier import Classifier, input_of_pixel
from tests.compress.patterned import DESCRIPTION, LABELS, patterned, write_folder

ENGINE = {"tflite": "litert", "onnx": "onnxruntime"}
RECIPE = Recipe(name="static_wi8_ai8", images=100)
IMAGES = 200


class Net(nn.Module):
    """A small classifier of values in 0..1, which has its own ways in and out."""

    def __init__(self, layout="NCHW", softmax=True):
        super().__init__()
        self.layout, self.softmax = layout, softmax
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, len(LABELS)),
        )  # fmt: skip

    def forward(self, x):
        logits = self.layers(x if self.layout == "NCHW" else x.permute(0, 3, 1, 2))
        return torch.softmax(logits, 1) if self.softmax else logits


def values(images_NHW):
    return torch.from_numpy(images_NHW.astype(np.float32) / 255)[:, None]


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    network = Net(softmax=False)
    images, labels = patterned(384, seed=0)
    x_NCHW, labels_N = values(images), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(12):
        for first in range(0, len(images), 64):
            rows = slice(first, first + 64)
            loss = nn.functional.cross_entropy(network(x_NCHW[rows]), labels_N[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.state_dict()


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("faces"), *patterned(160, seed=2))


@pytest.fixture
def make(weights, tmp_path):
    """``make(".pt2", layout, softmax)`` writes a model and its description."""

    def write(suffix, layout="NCHW", softmax=True, **changes):
        network = Net(layout, softmax)
        network.load_state_dict(weights)
        network.eval()
        shape = (1, 1, 48, 48) if layout == "NCHW" else (1, 48, 48, 1)
        path = tmp_path / f"mine{suffix}"
        if suffix == ".pt2":
            torch.export.save(torch.export.export(network, (torch.zeros(shape),)), path)
        else:
            _write_onnx(network, shape, path, **changes)
        output = "probabilities" if softmax else "logits"
        (tmp_path / "mine.toml").write_text(DESCRIPTION.format(layout=layout, output=output))
        return network, path

    return write


def _write_onnx(network, shape, path, open_batch=False):
    with quiet():
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *shape[1:]) if open_batch else torch.zeros(shape),),
            dynamo=True,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("n")},) if open_batch else None,
        )
    onnx.save(program.model_proto, path)


def request_for(path, spec, **changes):
    settings_ = {
        "model": path,
        "description": path.with_name("mine.toml"),
        "recipe": RECIPE,
        "calibration": spec,
        "out": path.with_name("bundle"),
        "limits": Limits(),
    }
    return ForeignRequest(**(settings_ | changes))


def labels_of(bundle, images_NHW):
    """Labels by file name."""
    found = {}
    for file in bundle.manifest.files:
        classifier = Classifier(bundle, file, ENGINE[file.format])
        found[file.file] = [int(classifier.logits(image).argmax()) for image in images_NHW]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "layout", "softmax"),
    [(".pt2", "NCHW", True), (".pt2", "NHWC", False), (".onnx", "NCHW", True)],
)
def test_every_file_gives_the_model_s_own_labels(make, spec, suffix, layout, softmax):
    network, path = make(suffix, layout, softmax)
    document = quantize_foreign(request_for(path, spec), lambda _: None)
    bundle = Bundle.load(path.with_name("bundle"))
    formats = {"tflite", "onnx"} if suffix == ".pt2" else {"onnx"}
    assert {file.format for file in bundle.manifest.files} == formats
    assert bundle.manifest.labels == LABELS
    images, _ = patterned(IMAGES, seed=1)
    x = values(images) if layout == "NCHW" else values(images).permute(0, 2, 3, 1)
    with torch.inference_mode():
        expected = network(x).argmax(1).tolist()
    assert set(expected) == set(range(len(LABELS)))
    assert labels_of(bundle, images) == dict.fromkeys(
        [file.file for file in bundle.manifest.files], expected
    )
    assert {row["label_agreement"] for row in document["rows"]} == {1.0}
    assert audit([path.with_name("bundle")])["errors"] == 0


@pytest.mark.slow
def test_the_input_on_the_device_stays_the_pixel(make, spec):
    _, path = make(".pt2")
    quantize_foreign(request_for(path, spec, int8_only=True), lambda _: None)
    files = {one.format: one for one in Bundle.load(path.with_name("bundle")).manifest.files}
    assert np.array_equal(input_of_pixel(files["tflite"].input), np.arange(-128, 128))
    assert np.array_equal(input_of_pixel(files["onnx"].input), np.arange(256))
    assert {one.precision for one in files.values()} == {"int8"}


@pytest.mark.slow
def test_an_open_batch_becomes_one(make, spec):
    _, path = make(".onnx", open_batch=True)
    quantize_foreign(request_for(path, spec), lambda _: None)
    (float_file, _) = Bundle.load(path.with_name("bundle")).manifest.files
    assert float_file.input.shape == (1, 1, 48, 48)


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("height_px = 48", "height_px = 40", "described"),
        ('"NCHW"', '"NHWC"', "described"),
        ('"surprise"]', '"surprise", "fear"]', "labels"),
        ('"probabilities"', '"logits"', "gives probabilities"),
    ],
)
def test_a_description_of_another_model_is_refused(make, spec, suffix, old, new, said):
    _, path = make(suffix)
    toml = path.with_name("mine.toml")
    assert old in toml.read_text()
    toml.write_text(toml.read_text().replace(old, new))
    with pytest.raises(EdgeFerError, match=said):
        quantize_foreign(request_for(path, spec), lambda _: None)
    assert not path.with_name("bundle").exists()


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_probabilities_that_are_logits_are_refused(make, spec, suffix):
    _, path = make(suffix, softmax=False)
    toml = path.with_name("mine.toml")
    toml.write_text(toml.read_text().replace("logits", "probabilities"))
    with pytest.raises(ModelError, match="softmax"):
        quantize_foreign(request_for(path, spec), lambda _: None)


@pytest.mark.parametrize("name", ["m.pt", "m.pth", "m.pkl", "m.ckpt"])
def test_pickles_are_refused_with_the_way_out(name):
    assert is_foreign(Path(name))
    with pytest.raises(ModelError, match=r"torch\.export"):
        described(Path(name), None)


def test_a_description_is_asked_for():
    with pytest.raises(EdgeFerError, match="--describe"):
        described(Path("m.onnx"), None)
    assert not is_foreign(Path("best.safetensors"))


@pytest.mark.parametrize("recipe", ["mixed_wi8_ai8"])
def test_recipes_that_need_the_network_are_refused(make, spec, recipe):
    _, path = make(".onnx")
    with pytest.raises(EdgeFerError, match=recipe):
        quantize_foreign(request_for(path, spec, recipe=Recipe(name=recipe)), lambda _: None)


def test_a_quantized_file_is_not_quantized_again(make, spec, shipped_bundle):
    _, path = make(".onnx")
    shutil.copy(shipped_bundle / "model.int8.onnx", path)
    with pytest.raises(ModelError, match="quantized already"):
        quantize_foreign(request_for(path, spec), lambda _: None)


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def rewritten(path, changes):
    """Copies an archive with some of its files changed; a function changes, bytes replace."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(parts)).partition("/")[0]
    for name, change in changes.items():
        place = f"{root}/{name}"
        parts[place] = change(parts[place]) if callable(change) else change
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def in_json(change):
    def apply(content):
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return apply


def _pickled_weight(document):
    next(iter(document["config"].values()))["use_pickle"] = True


def _other_call(document):
    document["graph_module"]["graph"]["nodes"][0]["target"] = "torch.hub.load"


def _formula(document):
    sizes = next(iter(document["graph_module"]["graph"]["tensor_values"].values()))["sizes"]
    sizes[0] = {"as_expr": {"expr_str": "__import__('os').system('true')", "hint": None}}


def _guard(document):
    document["guards_code"] = ["__import__('os').system('true')"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data/sample_inputs/model.pt": pickle.dumps(Trap())}, "pickled"),
        ({"data/weights/model_weights_config.json": in_json(_pickled_weight)}, "pickled"),
        ({"data/weights/model.pt": pickle.dumps(Trap())}, "pickled"),
        ({"data/constants/custom_obj_0": b"x", "data/x.pkl": b""}, "pickled"),
        ({"data/aotinductor/model/a.so": b""}, "compiled"),
        ({"models/model.json": in_json(_other_call)}, "torch.hub.load"),
        ({"models/model.json": in_json(_formula)}, "open sizes"),
        ({"models/model.json": in_json(_guard)}, "open sizes"),
        ({"models/other.json": b"{}"}, "several programs"),
    ],
    ids=["inputs", "weight", "old weights", "object", "library", "call", "formula", "guard", "two"],
)
def test_programs_that_could_run_code_are_refused(make, spec, changes, said):
    _, path = make(".pt2")
    rewritten(path, changes)
    with pytest.raises(ModelError, match=said):
        quantize_foreign(request_for(path, spec), lambda _: None)


def test_an_archive_that_is_only_packed_anew_still_reads(make, spec):
    _, path = make(".pt2")
    rewritten(path, {})
    model = open_pt2(path, read_description(path.with_name("mine.toml")))
    assert set(model.floats) == {"tflite", "onnx"}


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
@given(kept=st.floats(0, 1, exclude_max=True))
@settings(deadline=None, max_examples=8)
def test_a_model_cut_short_is_one_line(weights, tmp_path_factory, suffix, kept):
    folder = tmp_path_factory.mktemp("cut")
    network = Net()
    network.load_state_dict(weights)
    whole = _whole(network.eval(), suffix, folder)
    path = folder / f"mine{suffix}"
    path.write_bytes(whole[: int(kept * len(whole))])
    (folder / "mine.toml").write_text(DESCRIPTION.format(layout="NCHW", output="probabilities"))
    with pytest.raises(ModelError, match="mine"):
        READERS[suffix](path, read_description(folder / "mine.toml"))


_WHOLE = {}


def _whole(network, suffix, folder):
    if suffix not in _WHOLE:
        path = folder / f"whole{suffix}"
        if suffix == ".pt2":
            program = torch.export.export(network, (torch.zeros(1, 1, 48, 48),))
            torch.export.save(program, path)
        else:
            _write_onnx(network, (1, 1, 48, 48), path)
        _WHOLE[suffix] = path.read_bytes()
    return _WHOLE[suffix]
