"""The command from checkpoint to pictures, inside this process."""

import csv
import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edge_fer.cli import app
from edge_fer.data.landmarks import keep_landmarks
from edge_fer.data.spec import read_faces
from edge_fer.errors import DataError, EdgeFerError, ModelError, OutputError, SourceError
from edge_fer.labels import FER2013_LABELS


@pytest.fixture
def explain(trained_checkpoint, tmp_path):
    """``explain(photo, "--tsne")`` runs the command and returns its document."""

    def run(*arguments, checkpoint=trained_checkpoint):
        words = ["explain", checkpoint, "--out", tmp_path / "out", "--quiet", "--json", *arguments]
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception:
            raise result.exception
        return json.loads(result.stdout)

    return run


@pytest.fixture
def crop(tmp_path):
    """A face crop of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    cv2.imwrite(str(tmp_path / "crop.png"), pixels)
    return tmp_path / "crop.png"


def _size(path):
    return cv2.imread(str(path)).shape[:2]


def test_a_photo(explain, astronaut, tmp_path):
    document = explain(astronaut, "--detect", "--detector", "haar", "--label", "happy")
    page = tmp_path / "out" / "gradcam-astronaut.png"
    assert document["schema"] == "edge-fer/explain/1"
    assert document["files"] == [str(page)] == [str(file) for file in page.parent.iterdir()]
    assert min(_size(page)) > 300
    assert (document["model"], document["layer"]) == ("arch-1", "classifier")
    assert document["map_hw"] == [6, 6]
    assert [document[key] for key in ("classes", "tsne", "landmarks")] == [None] * 3
    (image,) = document["images"]
    assert (image["file"], image["figure"]) == (str(astronaut), str(page))
    assert (image["predicted"], image["label"]) == ("happy", "happy")
    assert image["probability"] > 0.5
    (heat,) = image["heat"]
    assert heat["upper"] + heat["lower"] == pytest.approx(1)


def test_all_classes_and_another_layer(explain, crop):
    document = explain(crop, "--classes", "all", "--layer", "stem")
    (image,) = document["images"]
    assert {heat["class"] for heat in image["heat"]} == set(FER2013_LABELS)
    assert (document["layer"], document["map_hw"]) == ("stem", [24, 24])


def test_pictures_of_one_name_get_a_number_each(explain, crop, tmp_path):
    again = tmp_path / "again" / "crop.png"
    again.parent.mkdir()
    again.write_bytes(crop.read_bytes())
    names = [file.rpartition("/")[2] for file in explain(crop, again.parent)["files"]]
    assert names == ["gradcam-1-crop.png", "gradcam-2-crop.png"]


def test_a_dataset_gets_a_sheet_per_class(explain, tiny_fer2013, tmp_path):
    document = explain("--data", f"fer2013:{tiny_fer2013}", "--per-class", "2", "--faces", "14")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "classes-examples.png",
        "classes-mean.png",
    }
    rows = document["classes"]["rows"]
    assert [row["class"] for row in rows] == list(FER2013_LABELS)
    assert [row["n"] for row in rows] == [2] * 7
    assert all(0 <= row["correct"] <= 2 and 0 <= row["without_heat"] <= 2 for row in rows)


def test_features(explain, tiny_fer2013, tmp_path):
    arguments = ("--data", f"fer2013:{tiny_fer2013}", "--split", "Training", "--tsne")
    document = explain(*arguments, "--faces", "30")
    assert document["classes"] is None
    tsne = document["tsne"]
    assert (tsne["n"], tsne["features"], tsne["neighbours"]) == (30, 128, 10)
    assert 0 <= tsne["knn_accuracy"] <= 1
    with (tmp_path / "out" / "tsne.csv").open() as stream:
        points = list(csv.DictReader(stream))
    with (tmp_path / "out" / "features.csv").open() as stream:
        features = list(csv.DictReader(stream))
    assert list(points[0]) == ["face", "label", "x", "y"]
    assert list(features[0]) == ["face", "label", *(f"f{index}" for index in range(128))]
    assert [row["face"] for row in points] == [row["face"] for row in features]
    assert len({row["face"] for row in points}) == 30
    first = (tmp_path / "out" / "tsne.csv").read_bytes()
    assert explain(*arguments, "--faces", "30", "--force") == document
    assert (tmp_path / "out" / "tsne.csv").read_bytes() == first


def test_an_ensemble(explain, part_ensemble_run, crop):
    document = explain(crop, checkpoint=part_ensemble_run / "best.safetensors")
    networks = ["eyebrows", "eyes", "nose", "mouth", "jaw", "union"]
    assert document["networks"] == networks
    heat = document["images"][0]["heat"]
    assert [row["network"] for row in heat] == networks
    assert [row["probability"] is None for row in heat] == [False] * 5 + [True]


def test_landmarks_before_and_after(explain, part_ensemble_run, tiny_fer2013, tmp_path):
    """Labels are at (0.25, 0.5), but for the corner of an eye, which is 0.5 away."""
    data, cache = f"fer2013:{tiny_fer2013}", tmp_path / "landmarks.npz"
    faces = read_faces(data, "PrivateTest")
    labels_N682 = np.full((len(faces), 68, 2), (0.25, 0.5), np.float32)
    labels_N682[:, 45, 0] = 0.75
    keep_landmarks(faces.images_NHW, labels_N682, cache)
    arguments = ("--landmarks", part_ensemble_run, "--landmark-labels", cache, "--faces", "8")
    checkpoint = part_ensemble_run / "best.safetensors"
    document = explain("--data", data, *arguments, checkpoint=checkpoint)
    assert document["files"] == [str(tmp_path / "out" / "landmarks.png")]
    parts = {row["part"]: row for row in document["landmarks"]["parts"]}
    assert document["landmarks"]["n"] == 8
    mouth, eyes = parts["mouth"], parts["eyes"]
    assert mouth["points"] == 20
    assert mouth["before"] == {"l1": 0, "percent_of_eyes": 0}
    assert mouth["after"]["l1"] == pytest.approx(0.125)
    assert mouth["after"]["percent_of_eyes"] == pytest.approx(25)
    assert eyes["before"]["l1"] == pytest.approx(0.5 / 24)


def test_nothing_is_replaced_without_force(explain, crop):
    before = explain(crop)
    with pytest.raises(OutputError, match=r"gradcam-crop\.png exists"):
        explain(crop)
    assert explain(crop, "--force") == before


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((), EdgeFerError, "nothing to explain"),
        (("crop.png", "--tsne"), EdgeFerError, "need --data"),
        (("crop.png", "--classes", "glad"), ModelError, "no class glad"),
        (("crop.png", "--label", "glad"), DataError, "glad"),
        (("crop.png", "--layer", "nothing"), ModelError, "there are: stem"),
        (("crop.png", "--detect"), SourceError, r"crop\.png: no face found"),
        (("crop.png", "nothing.png"), SourceError, "no such file"),
        (("text.png",), SourceError, "not an image"),
        (("--data", "fer2013"), DataError, "NAME:PATH"),
        (("--data", "synthetic:21", "--split", "nothing"), DataError, "nothing"),
        (("crop.png", "--landmarks", "."), ModelError, "part-ensemble"),
    ],
)
def test_bad_use_leaves_nothing_behind(
    explain, crop, tmp_path, monkeypatch, arguments, error, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(error, match=words):
        explain(*arguments)
    assert not (tmp_path / "out").exists()


def test_classes_that_the_model_lacks_are_left_out(explain, tmp_path):
    """Contempt is in folders of eight classes, and no class of the model."""
    for label in ("happy", "contempt"):
        folder = tmp_path / "faces" / label
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "face.png"), np.zeros((48, 48), np.uint8))
    document = explain("--data", f"folder:{tmp_path / 'faces'}", "--split", "all")
    assert [row["class"] for row in document["classes"]["rows"]] == ["happy"]
