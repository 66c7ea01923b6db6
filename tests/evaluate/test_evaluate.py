import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_fer.bundle import Bundle, save_bundle
from edge_fer.data.fer2013 import read_fer2013
from edge_fer.errors import BundleError, DataError
from edge_fer.evaluate.evaluate import evaluate, read_labelled
from edge_fer.evaluate.predict import engine_logits, torch_logits
from edge_fer.labels import FER2013_LABELS
from edge_fer.models import build_model
from edge_fer.preprocess import Preprocessing, normalise
from edge_fer.runtime.engines import load_engine
from edge_fer.train.checkpoint import save_checkpoint

KEYS = {
    "file",
    "format",
    "precision",
    "engine",
    "n",
    "accuracy",
    "accuracy_ci95",
    "accuracy_without_leaks",
    "uar",
    "ece",
    "per_class",
}


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    weights = build_model("arch-1", num_classes=7).state_dict()
    path = tmp_path / "random.safetensors"
    metadata = {
        "model": "arch-1",
        "options": {},
        "labels": list(FER2013_LABELS),
        "input_nchw": [1, 1, 48, 48],
        "preprocessing": Preprocessing().to_dict(),
    }
    save_checkpoint(path, weights, metadata)
    return path


def test_a_bundle_is_evaluated_file_by_file(bundle_dir, tiny_fer2013):
    document = evaluate(bundle_dir, f"fer2013:{tiny_fer2013}", "PrivateTest")
    assert document["schema"] == "edge-fer/evaluate/1"
    assert (document["data"], document["split"]) == ("fer2013", "PrivateTest")
    files = {(r["file"], r["engine"]) for r in document["results"]}
    assert ("model.int8.tflite", "litert") in files
    for result in document["results"]:
        assert set(result) >= KEYS
        assert result["n"] == 16
        assert set(result["per_class"]) == set(FER2013_LABELS)
        assert set(result["per_class"]["sad"]) >= {"recall", "precision", "f1", "n"}
    assert json.loads(json.dumps(document)) == document


def test_a_checkpoint_is_evaluated_through_torch(checkpoint, tiny_fer2013):
    (result,) = evaluate(checkpoint, f"fer2013:{tiny_fer2013}", "PublicTest")["results"]
    assert set(result) >= KEYS
    assert (result["engine"], result["precision"], result["n"]) == ("torch", "fp32", 16)


def test_faces_of_the_training_split_are_all_leaks(bundle_dir, tiny_fer2013):
    _, leaked_N = read_labelled(f"fer2013:{tiny_fer2013}", "Training")
    assert leaked_N.all()
    _, leaked_N = read_labelled(f"fer2013:{tiny_fer2013}", "PrivateTest")
    assert not leaked_N.any()


def test_a_model_with_other_labels_is_refused_with_both_lists(bundle_dir, tiny_fer2013, tmp_path):
    bundle = Bundle.load(bundle_dir)
    other = replace(bundle.manifest, labels=("yes", "no"))
    save_bundle(tmp_path / "other", other, bundle.contents)
    with pytest.raises(DataError, match=r"yes, no.*angry"):
        evaluate(tmp_path / "other", f"fer2013:{tiny_fer2013}", "PublicTest")


def test_what_is_neither_checkpoint_nor_bundle_is_refused(tmp_path, tiny_fer2013):
    shutil.copy(tiny_fer2013, tmp_path / "model.pt")
    with pytest.raises(BundleError):
        evaluate(tmp_path / "model.pt", f"fer2013:{tiny_fer2013}", "PublicTest")


def test_torch_logits_do_not_depend_on_the_batch_they_were_made_in(tiny_fer2013):
    torch.manual_seed(0)
    network = build_model("arch-1", num_classes=7).eval()
    images_NHW = np.tile(read_fer2013(tiny_fer2013, "PublicTest").images_NHW, (20, 1, 1))
    logits_NK = torch_logits(network, images_NHW, Preprocessing())
    assert logits_NK.shape == (320, 7)
    assert logits_NK.dtype == np.float32
    np.testing.assert_allclose(logits_NK[:16], logits_NK[-16:], rtol=0, atol=1e-5)


def test_float_and_int8_files_of_the_shipped_bundle_agree(bundle_dir, tiny_fer2013):
    images_NHW = read_fer2013(tiny_fer2013, "PublicTest").images_NHW
    contents = Bundle.load(bundle_dir).contents
    logits = {
        name: engine_logits(load_engine(engine, contents[name], name), images_NHW, Preprocessing())
        for name, engine in {
            "model.fp32.tflite": "litert",
            "model.int8.tflite": "litert",
            "model.fp32.onnx": "onnxruntime",
        }.items()
    }
    expected = logits["model.fp32.tflite"]
    np.testing.assert_allclose(logits["model.fp32.onnx"], expected, rtol=0, atol=1e-4)
    spread = np.ptp(expected)
    assert np.abs(logits["model.int8.tflite"] - expected).max() < 0.15 * spread


def test_an_engine_gets_the_normalised_pixels_in_its_own_layout(bundle_dir):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (48, 48), np.uint8)
    contents = Bundle.load(bundle_dir).contents["model.fp32.tflite"]
    engine = load_engine("litert", contents, "model")
    direct = engine(normalise(image)[None, :, :, None])
    assert np.array_equal(engine_logits(engine, image[None], Preprocessing()), direct)
