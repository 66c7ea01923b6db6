import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from edge_fer.bundle import Bundle, save_bundle
from edge_fer.data.fer2013 import read_fer2013
from edge_fer.errors import BundleError, DataError, ModelError
from edge_fer.evaluate.evaluate import Request, evaluate
from edge_fer.evaluate.labelled import Selection, read_labelled
from edge_fer.evaluate.predict import engine_logits, torch_logits
from edge_fer.evaluate.store import store_temperature
from edge_fer.evaluate.tables import subset_table
from edge_fer.labels import FER2013_LABELS
from edge_fer.models import build_model
from edge_fer.preprocess import Preprocessing, normalise
from edge_fer.runtime.engines import load_engine
from edge_fer.train.checkpoint import load_checkpoint, output_tensors, save_checkpoint

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


@pytest.fixture
def with_a_leak(tiny_fer2013):
    """Noise of which one PublicTest face is also in Training."""
    lines = tiny_fer2013.read_text().splitlines()
    lines[49] = lines[1].replace("Training", "PublicTest")
    tiny_fer2013.write_text("\n".join(lines) + "\n")
    return f"fer2013:{tiny_fer2013}"


def evaluated(*models, data, split="PublicTest", **options):
    selection = Selection(data=data, split=split)
    return evaluate(Request(models=models, selection=selection, **options)).document


def test_a_bundle_is_evaluated_file_by_file(bundle_dir, tiny_fer2013):
    document = evaluated(bundle_dir, data=f"fer2013:{tiny_fer2013}", split="PrivateTest")
    assert document["schema"] == "edge-fer/evaluate/1"
    assert (document["data"], document["split"]) == ("fer2013", "PrivateTest")
    files = {(r["file"], r["engine"]) for r in document["results"]}
    assert ("model.int8.tflite", "litert") in files
    for result in document["results"]:
        assert set(result) >= KEYS
        assert result["n"] == 16
        assert set(result["per_class"]) == set(FER2013_LABELS)
        assert set(result["per_class"]["sad"]) >= {"recall", "precision", "f1", "n"}
        assert sum(b["n"] for b in result["reliability"]) == 16
    assert json.loads(json.dumps(document)) == document


def test_a_checkpoint_is_evaluated_through_torch(checkpoint, tiny_fer2013):
    (result,) = evaluated(checkpoint, data=f"fer2013:{tiny_fer2013}")["results"]
    assert set(result) >= KEYS
    assert (result["engine"], result["precision"], result["n"]) == ("torch", "fp32", 16)


def test_faces_with_a_tag_are_also_measured_by_themselves(trained_checkpoint, tmp_path):
    for split in ("train", "test"):
        for label, name in enumerate(FER2013_LABELS):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            cv2.imwrite(
                str(folder / f"{split}_{label:04d}.png"), np.full((48, 48), 9 * label, np.uint8)
            )
    (tmp_path / "val_raf_db_list_45.txt").write_text("0/test_0000.jpg\n3/test_0003.jpg\n")
    document = evaluated(trained_checkpoint, data=f"raf-db:{tmp_path}", split="test")
    (result,) = document["results"]
    pose = result["subsets"]["pose-45"]
    assert (result["n"], pose["n"], pose["n_without_leaks"]) == (7, 2, 0)
    labels, said = zip(*((k, row) for k, row in enumerate(result["confusion"])), strict=True)
    assert pose["accuracy"] == sum(said[k][labels[k]] for k in (0, 3)) / 2
    assert subset_table(document).rows[-1][2:4] == ("pose-45", "2")


def test_float_and_int8_of_a_bundle_are_compared(bundle_dir, tiny_fer2013):
    document = evaluated(bundle_dir, data=f"fer2013:{tiny_fer2013}")
    first, *others = document["results"]
    assert (first["precision"], len(others)) == ("fp32", 3)
    for result, compared in zip(others, document["comparisons"], strict=True):
        assert (compared["first"]["file"], compared["second"]["file"]) == (
            first["file"], result["file"],
        )  # fmt: skip
        assert compared["accuracy_difference"] == pytest.approx(
            result["accuracy"] - first["accuracy"]
        )
        assert compared["label_flip_rate"] <= 0.25


def test_one_model_on_one_engine_is_compared_with_nothing(checkpoint, tiny_fer2013):
    assert evaluated(checkpoint, data=f"fer2013:{tiny_fer2013}")["comparisons"] == []


def test_a_model_does_not_differ_from_its_copy(checkpoint, tiny_fer2013, tmp_path):
    copy = tmp_path / "copy.safetensors"
    shutil.copy(checkpoint, copy)
    (compared,) = evaluated(checkpoint, copy, data=f"fer2013:{tiny_fer2013}")["comparisons"]
    assert (compared["mcnemar_p"], compared["label_flip_rate"]) == (1, 0)
    assert compared["second"]["model"] == str(copy)


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
        evaluated(tmp_path / "other", data=f"fer2013:{tiny_fer2013}")


def test_what_is_neither_checkpoint_nor_bundle_is_refused(tmp_path, tiny_fer2013):
    shutil.copy(tiny_fer2013, tmp_path / "model.pt")
    with pytest.raises(BundleError):
        evaluated(tmp_path / "model.pt", data=f"fer2013:{tiny_fer2013}")


def test_a_manifest_with_more_labels_than_outputs_is_refused(bundle_dir, tiny_fer2013, tmp_path):
    bundle = Bundle.load(bundle_dir)
    other = replace(bundle.manifest, labels=(*FER2013_LABELS, "contempt"))
    save_bundle(tmp_path / "other", other, bundle.contents)
    with pytest.raises(ModelError, match="7 outputs, 8 labels"):
        evaluated(tmp_path / "other", data=f"fer2013:{tiny_fer2013}")


def test_a_stored_temperature_is_used_and_changes_no_label(checkpoint, tiny_fer2013):
    data = f"fer2013:{tiny_fer2013}"
    (plain,) = evaluated(checkpoint, data=data)["results"]
    store_temperature(checkpoint, 0.25, {})
    (sharp,) = evaluated(checkpoint, data=data)["results"]
    assert (plain["temperature"], sharp["temperature"]) == (1, 0.25)
    assert sharp["confusion"] == plain["confusion"]
    assert sharp["reliability"] != plain["reliability"]


def test_a_fit_is_stored_and_reported(trained_checkpoint, with_a_leak, tmp_path):
    model = tmp_path / "best.safetensors"
    shutil.copy(trained_checkpoint, model)
    document = evaluated(model, data=with_a_leak, fits=("temperature",))
    fit = document["temperature_fit"]
    assert load_checkpoint(model).metadata["temperature"] == fit["value"]
    assert (fit["previous"], fit["n"], fit["leaks_left_out"]) == (1, 15, 1)
    (row,) = fit["files"]
    assert row["after"]["nll"] <= row["before"]["nll"]
    (result,) = document["results"]
    assert (result["temperature"], result["n"]) == (fit["value"], 16)


@pytest.mark.data
def test_a_fit_of_the_classes_is_folded_into_the_network(
    trained_checkpoint, fer2013_file, tmp_path
):
    model = tmp_path / "best.safetensors"
    shutil.copy(trained_checkpoint, model)
    document = evaluated(model, data=f"fer2013:{fer2013_file}", fits=("classes", "temperature"))
    fit = document["classes_fit"]
    assert (fit["n"], fit["leaks_left_out"]) == (3309, 280)
    assert fit["after"]["nll"] < fit["before"]["nll"] - 0.01
    (said,) = document["results"]
    (measured,) = evaluated(model, data=f"fer2013:{fer2013_file}")["results"]
    for key in ("accuracy", "ece", "uar", "temperature"):
        assert said[key] == pytest.approx(measured[key], abs=1e-3)
    assert document["temperature_fit"]["value"] == pytest.approx(1, abs=0.01)
    before, after = load_checkpoint(trained_checkpoint), load_checkpoint(model)
    assert after.metadata["classes_fitted"]["n"] == 3309
    old, new = before.network.state_dict(), after.network.state_dict()
    changed = [name for name in old if not torch.equal(old[name], new[name])]
    assert changed == output_tensors(before)


def test_a_fit_of_the_classes_needs_faces_of_each(checkpoint, tiny_fer2013):
    lines = tiny_fer2013.read_text().splitlines()
    angry = ["0" + line[1:] if line.startswith("1,") else line for line in lines]
    tiny_fer2013.write_text("\n".join(angry) + "\n")
    content = checkpoint.read_bytes()
    with pytest.raises(DataError, match="no face of disgust to fit its logit to"):
        evaluated(checkpoint, data=f"fer2013:{tiny_fer2013}", fits=("classes",))
    assert checkpoint.read_bytes() == content


def test_the_classes_of_a_bundle_are_not_fitted(shipped_bundle, tiny_fer2013):
    with pytest.raises(ModelError, match="to a checkpoint; quantize it afterwards"):
        evaluated(shipped_bundle, data=f"fer2013:{tiny_fer2013}", fits=("classes",))


def test_a_fit_needs_faces_that_were_not_trained_on(checkpoint, tiny_fer2013):
    with pytest.raises(DataError, match="all 48 faces also occur in Training"):
        evaluated(
            checkpoint, data=f"fer2013:{tiny_fer2013}", split="Training", fits=("temperature",)
        )


@pytest.mark.parametrize("split", ["PrivateTest", "test", "Test", "all", None])
def test_a_fit_on_the_test_set_is_refused(checkpoint, split):
    selection = Selection(data="fer2013:unread", split=split)
    with pytest.raises(DataError, match="would fit the test set"):
        Request(models=(checkpoint,), selection=selection, fits=("temperature",))


def test_a_fit_of_several_models_is_refused(checkpoint):
    selection = Selection(data="fer2013:unread", split="PublicTest")
    with pytest.raises(ModelError, match="one model, not 2"):
        Request(models=(checkpoint, checkpoint), selection=selection, fits=("temperature",))


def test_all_of_a_dataset_has_no_leaks_to_speak_of(checkpoint, tiny_fer2013):
    (result,) = evaluated(checkpoint, data=f"fer2013:{tiny_fer2013}", split="all")["results"]
    assert result["n"] == 80
    assert (result["accuracy_without_leaks"], result["n_without_leaks"]) == (None, None)


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
