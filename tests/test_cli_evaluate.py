"""``edge-fer evaluate`` through its ``main``, on real faces where there are some."""

import csv
import json
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_fer import cli
from edge_fer.bundle import Bundle
from edge_fer.data.protocols import make_folds, write_protocol
from edge_fer.data.spec import read_dataset
from edge_fer.labels import EIGHT, FER2013_LABELS

COUNTS = (60, 150, 200)


@pytest.fixture
def run(monkeypatch, capsys):
    """``run("--json")`` gives exit code, standard output and standard error of ``evaluate``."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge-fer", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def document(run):
    """``document(...)`` is the JSON document of a run that went well."""

    def call(*arguments):
        code, out, err = run(*arguments, "--json", "--quiet")
        assert (code, err) == (0, "")
        return json.loads(out)

    return call


@pytest.fixture
def refusal(run):
    """``refusal(...)`` is the one line of a run that is refused."""

    def call(*arguments):
        code, out, err = run(*arguments, "--quiet")
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        assert line.startswith("edge-fer: ")
        return line

    return call


@pytest.fixture(scope="session")
def real(fer2013_file, tmp_path_factory):
    """The first 60, 150 and 200 faces of FER2013's splits."""
    with np.load(fer2013_file) as arrays:
        usage = arrays["usage"]
        rows = np.concatenate([np.flatnonzero(usage == u)[:n] for u, n in enumerate(COUNTS)])
        subset = {key: arrays[key][rows] for key in ("images", "labels", "usage")}
    file = tmp_path_factory.mktemp("real") / "fer2013.npz"
    np.savez(file, **subset)
    return f"fer2013:{file}"


@pytest.fixture
def checkpoint(trained_checkpoint, tmp_path):
    return Path(shutil.copy(trained_checkpoint, tmp_path / "best.safetensors"))


@pytest.fixture
def eight(tmp_path):
    """A folder of three faces in each of eight classes, some under other names."""
    rng = np.random.default_rng(0)
    for label in ("anger", "Happiness", *EIGHT[1:3], *EIGHT[4:]):
        folder = tmp_path / "faces" / label
        folder.mkdir(parents=True)
        for index in range(3):
            cv2.imwrite(str(folder / f"{index}.png"), rng.integers(0, 256, (48, 48), np.uint8))
    return f"folder:{tmp_path / 'faces'}"


class References(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.svgs = [], 0

    def handle_starttag(self, tag, attrs):
        self.svgs += tag == "svg"
        self.found += [value for key, value in attrs if key.endswith(("href", "src"))]


@pytest.mark.data
def test_two_models_on_real_faces_with_everything_written(
    run, real, checkpoint, shipped_bundle, tmp_path
):
    out = tmp_path / "out"
    files = out / "p.csv", out / "report.html", out / "pictures"
    code, text, err = run(
        checkpoint, shipped_bundle, "--data", real,
        "--predictions", files[0], "--report", files[1], "--pictures", files[2],
    )  # fmt: skip
    assert code == 0, err
    for words in ("best.safetensors", "model.int8.tflite", "UF1 %", "McNemar", "disgust"):
        assert words in text
    with files[0].open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * 200
    assert [row["name"] for row in rows[:200]] == [f"{index:07d}" for index in range(210, 410)]
    right = sum(row["label"] == row["predicted"] for row in rows[:200])
    assert f"{100 * right / 200:.2f}" in text
    for row in rows:
        assert sum(float(row[f"p:{name}"]) for name in FER2013_LABELS) == pytest.approx(1, abs=1e-4)
    page = files[1].read_text()
    parser = References()
    parser.feed(page)
    assert parser.svgs == 6
    assert all(reference.startswith("#") for reference in parser.found)
    assert "288 PrivateTest" in page
    assert "edge-fer evaluate" in page
    pictures = sorted(path.name for path in files[2].iterdir())
    assert len(pictures) == 6
    assert cv2.imread(str(files[2] / pictures[0])) is not None
    for file, option in zip(files, ("--predictions", "--report", "--pictures"), strict=True):
        code, _, err = run(checkpoint, "--data", real, option, file)
        assert code == 2
        assert "--force" in err


@pytest.mark.data
def test_the_document_of_several_models(document, real, shipped_checkpoint, shipped_bundle):
    found = document(shipped_checkpoint, shipped_bundle, "--data", real, "--split", "PublicTest")
    assert found["schema"] == "edge-fer/evaluate/1"
    assert [result["n"] for result in found["results"]] == [150] * 3
    assert all(0.5 < result["accuracy"] < 0.85 for result in found["results"])
    assert [c["second"]["engine"] for c in found["comparisons"]] == ["litert", "onnxruntime"]
    for compared in found["comparisons"]:
        low, high = compared["accuracy_difference_ci95"]
        assert low <= compared["accuracy_difference"] <= high
        assert compared["label_flip_rate"] < 0.1
    assert found["classes"]["dropped_from_data"] == {}
    assert found["command"].startswith("edge-fer evaluate ")


@pytest.mark.data
def test_a_fitted_temperature_goes_from_the_checkpoint_into_what_evaluates_it(
    run, document, real, checkpoint
):
    code, text, err = run(checkpoint, "--data", real, "--split", "PublicTest", "--fit-temperature")
    assert code == 0, err
    assert "ECE % before" in text
    (result,) = document(checkpoint, "--data", real)["results"]
    assert 0.5 < result["temperature"] < 2
    assert result["temperature"] != 1


@pytest.mark.data
def test_a_bundle_takes_a_temperature_and_still_verifies(document, real, shipped_bundle, tmp_path):
    bundle = shutil.copytree(shipped_bundle, tmp_path / "bundle")
    found = document(bundle, "--data", real, "--split", "PublicTest", "--fit-temperature")
    assert len(found["temperature_fit"]["files"]) == 2
    assert Bundle.load(bundle).manifest.temperature == found["temperature_fit"]["value"]


def test_quantizing_keeps_the_temperature(checkpoint, tiny_fer2013, tmp_path):
    from edge_fer.compress.quantize import Request, quantize
    from edge_fer.compress.recipe import read_recipe
    from edge_fer.evaluate.store import store_temperature
    from edge_fer.resources import find_resource

    store_temperature(checkpoint, 1.5, {"n": 1})
    request = Request(
        checkpoint=checkpoint,
        recipe=read_recipe(find_resource("recipe", "static_wi8_ai8")),
        calibration=f"fer2013:{tiny_fer2013}",
        out=tmp_path / "bundle",
    )
    quantize(request, lambda _: None)
    manifest = Bundle.load(request.out).manifest
    assert manifest.temperature == 1.5
    assert manifest.provenance["temperature_fitted"] == {"n": 1}


def test_other_classes_are_dropped_and_said(run, document, eight, checkpoint, tmp_path):
    predictions = tmp_path / "p.csv"
    found = document(checkpoint, "--data", eight, "--split", "all", "--predictions", predictions)
    assert found["classes"]["evaluated"] == list(FER2013_LABELS)
    assert found["classes"]["dropped_from_data"] == {"contempt": 3}
    (result,) = found["results"]
    assert result["n"] == 21
    assert [figures["n"] for figures in result["per_class"].values()] == [3] * 7
    with predictions.open(newline="") as stream:
        assert "Happiness/0.png" in {row["name"] for row in csv.DictReader(stream)}
    _, text, _ = run(checkpoint, "--data", eight, "--split", "all")
    assert "contempt (3 faces)" in text


def test_fewer_outputs_are_renormalised(document, run, eight, checkpoint, tmp_path):
    for label in ("neutral", "contempt", "sad"):
        shutil.rmtree(tmp_path / "faces" / label)
    predictions = tmp_path / "p.csv"
    found = document(checkpoint, "--data", eight, "--split", "all", "--predictions", predictions)
    assert found["classes"]["evaluated"] == ["angry", "disgust", "fear", "happy", "surprise"]
    assert found["classes"]["dropped_from_models"] == {str(checkpoint): ["sad", "neutral"]}
    with predictions.open(newline="") as stream:
        for row in csv.DictReader(stream):
            shares = [float(value) for key, value in row.items() if key.startswith("p:")]
            assert len(shares) == 5
            assert sum(shares) == pytest.approx(1, abs=1e-4)
    _, text, _ = run(checkpoint, "--data", eight, "--split", "all")
    assert "sad, neutral" in text


def test_a_fold_of_a_protocol(document, refusal, tiny_fer2013, checkpoint, tmp_path):
    protocol, data = tmp_path / "folds.json", f"fer2013:{tiny_fer2013}"
    dataset = read_dataset(data)
    write_protocol(protocol, dataset, make_folds(dataset, "k-fold", k=4, seed=0))
    fold = ("--data", data, "--protocol", protocol, "--fold", "fold-2")
    found = document(checkpoint, *fold)
    assert found["protocol"] == {"file": str(protocol), "fold": "fold-2"}
    assert (found["split"], found["results"][0]["n"]) == ("test", 20)
    assert "fold-9" in refusal(checkpoint, *fold[:-1], "fold-9")
    assert "test set" in refusal(checkpoint, *fold, "--fit-temperature")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--split", "PrivateTest", "--fit-temperature"), "would fit the test set"),
        (("--fit-temperature",), "would fit the test set"),
        (("--fold", "fold-1"), "--protocol"),
        (("--protocol", "nothing.json"), "nothing.json"),
        (("--protocol", "x.json", "--split", "test"), "exclude"),
        (("--split", "Elsewhere"), "Elsewhere"),
    ],
)
def test_what_cannot_be_done_is_one_line(refusal, tiny_fer2013, checkpoint, options, words):
    assert words in refusal(checkpoint, "--data", f"fer2013:{tiny_fer2013}", *options)


@pytest.mark.parametrize("name", ["tiny", "base"])
def test_a_bundle_that_ships_is_found_by_name_and_never_rewritten(
    document, refusal, tiny_fer2013, name
):
    data = ("--data", f"fer2013:{tiny_fer2013}", "--split", "PublicTest")
    assert {result["model"] for result in document(name, *data)["results"]} == {name}
    assert "what ships is not rewritten" in refusal(name, *data, "--fit-temperature")
    assert "nor a shipped bundle" in refusal("bases", *data)


def test_a_dataset_of_other_classes_is_one_line(refusal, eight, checkpoint, tmp_path):
    for label in ("anger", "Happiness", *EIGHT[1:3], *EIGHT[4:6]):
        shutil.rmtree(tmp_path / "faces" / label)
    assert "share 1 classes" in refusal(checkpoint, "--data", eight)


def test_a_missing_extra_is_named_before_anything_is_done(
    refusal, tiny_fer2013, checkpoint, monkeypatch, tmp_path
):
    for module in [name for name in sys.modules if name.startswith("edge_fer.report.p")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(sys.modules, "edge_fer.evaluate.page", raising=False)

    class Fence:
        def find_spec(self, name, path=None, target=None):
            if name == "jinja2":
                raise ModuleNotFoundError("no jinja2", name=name)

    monkeypatch.delitem(sys.modules, "jinja2", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Fence(), *sys.meta_path])
    report = tmp_path / "report.html"
    line = refusal(checkpoint, "--data", f"fer2013:{tiny_fer2013}", "--report", report)
    assert "pip install 'edge-fer[report]'" in line
    assert not report.exists()
