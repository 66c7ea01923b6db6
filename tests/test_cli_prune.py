"""``edge-fer prune`` through its ``main``."""

import json
import sys

import pytest
import torch

from edge_fer import cli
from edge_fer.bundle import Bundle
from edge_fer.train.loop import Run


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """``run("prune", ...)`` gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["edge-fer", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code or 0, *capsys.readouterr()

    return call


def test_the_document_and_the_table(run, trained_checkpoint):
    budget = ("--macs", "13.5M", "--out", "half.safetensors")
    code, out, err = run("prune", trained_checkpoint, *budget, "--json", "--quiet")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["schema"] == "edge-fer/prune/1"
    assert document["before"]["macs"] == 27_025_920
    assert 13.3e6 < document["after"]["macs"] <= 13.5e6
    assert {"params", "macs", "size_mb", "accuracy"} <= set(document["after"])
    assert {"name", "kind", "before", "after"} <= set(document["layers"][0])
    code, out, err = run("prune", trained_checkpoint, *budget, "--force")
    assert (code, err) == (0, "... step 1 of 1: prune\n")
    assert "trunk.10" in out
    assert "of the MACs are gone" in out


@pytest.mark.slow
def test_a_pruned_network_becomes_int8(run, trained_checkpoint, tiny_fer2013, tmp_path):
    assert run("prune", trained_checkpoint, "--ratio", "0.5", "--out", "half.safetensors")[0] == 0
    data = f"fer2013:{tiny_fer2013}"
    arguments = ("half.safetensors", "--calibration", data, "--out", "bundle", "--quiet")
    assert run("quantize", *arguments)[0] == 0
    manifest = Bundle.load(tmp_path / "bundle").manifest
    assert 13.3e6 < manifest.macs <= 13.52e6
    assert {file.precision for file in manifest.files} == {"fp32", "int8"}


NAMES = {
    "none": [],
    "two": ["--ratio", "0.5", "--macs", "1M"],
    "above one": ["--ratio", "1.5"],
    "below nothing": ["--latency-ms", "-1"],
    "not a number": ["--macs", "few"],
    "unreachable": ["--params", "10"],
    "large enough": ["--macs", "99M"],
    "steps without data": ["--ratio", "0.5", "--steps", "3"],
    "taylor without data": ["--ratio", "0.5", "--importance", "taylor"],
    "importance": ["--ratio", "0.5", "--importance", "luck"],
    "spread": ["--ratio", "0.5", "--spread", "butter"],
    "round to": ["--ratio", "0.5", "--round-to", "0"],
    "engine": ["--latency-ms", "0.1", "--engine", "steam"],
    "sweep without data": ["--sweep", "0.25,0.5"],
    "sweep of words": ["--sweep", "a,b"],
    "data": ["--ratio", "0.5", "--data", "fer2013:nothing.csv"],
    "recipe": ["--ratio", "0.5", "--data", "fer2013:nothing.csv", "--recipe", "none-such"],
}


@pytest.mark.parametrize("arguments", NAMES.values(), ids=NAMES.keys())
def test_bad_use_is_one_line(run, trained_checkpoint, tmp_path, arguments):
    code, out, err = run(
        "prune", trained_checkpoint, "--out", "x.safetensors", "--quiet", *arguments
    )
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("edge-fer: ")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_a_checkpoint_or_there_already(run, trained_checkpoint, tmp_path):
    (tmp_path / "text.safetensors").write_text("not tensors")
    code, _, err = run("prune", "text.safetensors", "--ratio", "0.5", "--out", "x.safetensors")
    assert (code, len(err.splitlines())) == (2, 1)
    half = ("--ratio", "0.5", "--out", "half.safetensors", "--quiet")
    assert run("prune", trained_checkpoint, *half)[0] == 0
    code, _, err = run("prune", trained_checkpoint, *half)
    assert (code, "--force" in err) == (2, True)
    code, _, err = run("prune", trained_checkpoint, "--ratio", "0.5", "--out", "folder")
    assert (code, ".safetensors" in err) == (2, True)


def test_ctrl_c_says_how_to_go_on(run, monkeypatch, trained_checkpoint, tiny_fer2013):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "fit", interrupted)
    data = f"fer2013:{tiny_fer2013}"
    arguments = ("prune", trained_checkpoint, "--ratio", "0.5", "--out", "x.safetensors")
    code, _, err = run(*arguments, "--data", data, "--epochs", "1", "--quiet")
    assert code == 130
    assert err.endswith("--epochs 1 --quiet --resume\n")
