"""``edge-fer quantize`` through its ``main``, with a network small enough for every recipe."""

import json
import sys
from functools import partial

import pytest

from edge_fer import cli
from edge_fer.bundle import Bundle


@pytest.fixture
def run_on(monkeypatch, capsys, tmp_path):
    """``run_on(file, "--json")`` gives exit code, standard output and error of ``quantize``."""

    def call(model, *arguments):
        own = ["edge-fer", "quantize", str(model), "--out", str(tmp_path / "out"), "--quiet"]
        monkeypatch.setattr(sys, "argv", [*own, *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def run(run_on, checkpoint):
    """The same on a small checkpoint."""
    return partial(run_on, checkpoint)


@pytest.mark.slow
def test_gates_that_pass_and_a_page_of_everything(run, tiny_fer2013, tmp_path):
    data, page = f"fer2013:{tiny_fer2013}", tmp_path / "page.html"
    gates = ("--max-drop", 100, "--max-class-drop", 100, "--max-flips", 100)
    code, out, err = run(
        "--calibration", data, "--evaluate", data, *gates, "--report", page, "--json"
    )
    assert (code, err) == (0, "")
    document = json.loads(out.splitlines()[-1])
    assert len(document["gates"]) == 6
    assert all(gate["passed"] and gate["n"] for gate in document["gates"])
    text = page.read_text()
    for word in (
        "Every gate passed",
        "Confusions, tflite",
        "Audit",
        "McNemar",
        "min_max",
        "stages",
    ):
        assert word in text
    assert text.count("<svg") == 4
    assert run("--calibration", data)[0] == 2


@pytest.mark.slow
def test_a_gate_that_fails_exits_1_and_says_so_and_the_bundle_is_there(run, tmp_path):
    code, out, err = run("--calibration", "distilled", "--max-flips", -1)
    assert code == 1
    assert "FAILED" in out
    assert len(err.splitlines()) == 2
    assert "gate failed: model.int8.tflite" in err
    assert "--max-flips is -1" in err
    assert Bundle.load(tmp_path / "out").manifest.calibration["data"] == "distilled"


@pytest.mark.slow
def test_mixed_precision_that_is_not_needed_keeps_nothing(run, tiny_fer2013):
    data = f"fer2013:{tiny_fer2013}"
    code, out, _ = run("--calibration", data, "--mixed", "--max-drop", 100, "--json")
    assert code == 0
    rows = {row["file"]: row for row in json.loads(out.splitlines()[-1])["rows"]}
    assert rows["model.mixed.onnx"]["mixed"]["tries"] == 1
    assert rows["model.mixed.onnx"]["audit"]["float_operators"] == []


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "precision"), [("fp16", "fp16"), ("dynamic_wi8", "wi8")])
def test_without_calibration(run, tiny_fer2013, tmp_path, recipe, precision):
    code, _, err = run("--recipe", recipe, "--evaluate", f"fer2013:{tiny_fer2013}", "--int8-only")
    assert (code, err) == (0, "")
    manifest = Bundle.load(tmp_path / "out").manifest
    assert [file.precision for file in manifest.files] == [precision] * 2
    assert manifest.calibration == {"recipe": recipe}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--calibration"),
        (("--recipe", "fp16"), "--evaluate"),
        (("--calibration", "x:y", "--mixed"), "--max-drop"),
        (("--recipe", "fp16", "--mixed"), "mixed"),
        (("--recipe", "prune50_qat_wi8_ai8", "--calibration", "x:y"), "give --data"),
        (("--recipe", "qat_fp16", "--calibration", "x:y"), "integer activations"),
        (("--recipe", "prune0_fp16", "--calibration", "x:y"), "prune0_fp16"),
    ],
)
def test_bad_use_exits_2_with_one_line(run, tmp_path, arguments, words):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


def test_steps_are_for_checkpoints_of_ours(run_on, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(b"anything")
    code, _, err = run_on(model, "--recipe", "qat_wi8_ai8", "--calibration", "x:y", "--data", "x:y")
    assert code == 2
    assert "only checkpoints of edge-fer" in err
