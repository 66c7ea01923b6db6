import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edge_fer.cli_data import data_app
from edge_fer.data.protocols import read_protocol
from edge_fer.data.spec import read_dataset
from edge_fer.errors import DataError, MissingExtraError, OutputError

SPLITS = ("Training",) * 14 + ("PublicTest",) * 7 + ("PrivateTest",) * 7


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """28 faces, of which the first PrivateTest face is also the first Training face."""
    faces = np.random.default_rng(0).integers(0, 256, (28, 48 * 48))
    faces[21] = faces[0]
    rows = [
        f"{index % 7},{' '.join(map(str, face))},{split}"
        for index, (face, split) in enumerate(zip(faces, SPLITS, strict=True))
    ]
    file = tmp_path / "fer2013.csv"
    file.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return f"fer2013:{file}"


def run(*arguments):
    return CliRunner().invoke(data_app, [str(argument) for argument in arguments])


def printed(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_info_prints_counts_leaks_and_the_verdict(spec):
    text = printed("info", spec, "--no-near")
    lines = [line.split() for line in text.splitlines()]
    assert ["class", "Training", "PublicTest", "PrivateTest", "all"] in lines
    assert ["angry", "2", "1", "1", "4"] in lines
    assert ["all", "14", "7", "7", "28"] in lines
    assert ["PrivateTest", "Training", "7", "1", "-"] in lines
    assert "* 1 of 7 PrivateTest images also occur in Training" in text


def test_info_as_json_is_one_document(spec):
    document = json.loads(printed("info", spec, "--json", "--no-near", "--quiet"))
    assert document["schema"] == "edge-fer/data-info/1"
    assert (document["n"], document["duplicates"]["exact"]["repeats"]) == (28, 1)
    assert document["duplicates"]["near"] is None


def test_info_looks_for_near_duplicates(spec):
    pytest.importorskip("imagehash", reason="near duplicates need ImageHash")
    document = json.loads(printed("info", spec, "--json", "--near"))
    assert document["duplicates"]["near"]["repeats"] == 1


def test_near_without_imagehash_names_the_extra(spec, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imagehash", None)
    assert isinstance(run("info", spec, "--near").exception, MissingExtraError)
    assert "were not looked for" in printed("info", spec)


def test_preview_writes_a_picture_and_replaces_it_only_by_force(spec, tmp_path):
    out = tmp_path / "faces.png"
    printed("preview", spec, "--out", out, "--per-class", 2)
    first = cv2.imread(str(out))
    assert isinstance(run("preview", spec, "--out", out).exception, OutputError)
    printed("preview", spec, "--out", out, "--per-class", 4, "--seed", 3, "--force")
    assert cv2.imread(str(out)).shape[1] > first.shape[1]
    assert isinstance(run("preview", spec, "--out", tmp_path / "a.gif").exception, OutputError)


@pytest.mark.parametrize(("protocol", "folds"), [("official", 1), ("k-fold", 4), ("holdout", 1)])
def test_split_writes_a_protocol_that_reads_back(spec, tmp_path, protocol, folds):
    out = tmp_path / "split.json"
    text = printed("split", spec, "--protocol", protocol, "--k", 4, "--out", out)
    dataset = read_dataset(spec, strict=False)
    read = read_protocol(out, dataset)
    assert len(read) == folds
    assert read[0].name in text
    assert text.endswith(f"{folds} {'folds' if folds > 1 else 'fold'} -> {out}\n")
    assert json.loads(out.read_text())["schema"] == "edge-fer/protocol/1"
    if protocol == "official":
        fold = read[0]
        assert (len(fold.train), len(fold.validation), len(fold.test)) == (14, 7, 7)
    again = run("split", spec, "--protocol", protocol, "--out", out)
    assert isinstance(again.exception, OutputError)
    printed("split", spec, "--protocol", "holdout", "--seed", 5, "--out", out, "--force")
    assert read_protocol(out, dataset)[0].name == "holdout"


def test_a_long_protocol_is_printed_in_part(spec, tmp_path):
    out = tmp_path / "split.json"
    text = printed("split", spec, "--protocol", "k-fold", "--k", 28, "--out", out)
    assert "fold-20" in text
    assert "fold-21" not in text
    assert "... and 8 more" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "fer2013:missing.csv"),
        ("info", "nonsense"),
        ("split", "SPEC", "--protocol", "magic", "--out", "OUT"),
        ("split", "SPEC", "--protocol", "loso", "--out", "OUT"),
        ("split", "SPEC", "--protocol", "k-fold", "--k", 1, "--out", "OUT"),
    ],
)
def test_bad_use_is_one_line_and_writes_nothing(spec, tmp_path, arguments):
    out = tmp_path / "out.json"
    result = run(*({"SPEC": spec, "OUT": out}.get(part, part) for part in arguments))
    assert isinstance(result.exception, DataError)
    assert len(str(result.exception).splitlines()) == 1
    assert not out.exists()


def test_strict_fails_where_an_image_cannot_be_read(monkeypatch, tmp_path):
    from edge_fer.data import spec as module
    from edge_fer.data.dataset import Dataset, Item

    name = "lost [bold]\udcff.png"
    lost = Item(name=name, source=tmp_path / name, label=0)
    dataset = Dataset(name="faces", label_names=("angry",), items=(lost,))
    asked = []
    monkeypatch.setattr(
        module, "read_dataset", lambda _, *, strict: asked.append(strict) or dataset
    )
    assert r"lost [bold]\udcff.png" in printed("info", "faces:x")
    result = run("info", "faces:x", "--strict")
    assert (result.exit_code, asked) == (1, [False, True])
    assert r"lost [bold]\udcff.png" in result.stdout
    assert json.loads(run("info", "faces:x", "--json").stdout)["unreadable"][0].count(name) == 1


def test_landmarks_are_kept_drawn_and_summed_up(tmp_path):
    out, sheet = tmp_path / "landmarks.npz", tmp_path / "points.png"
    text = printed("landmarks", "synthetic:70", "--out", out, "--preview", sheet, "--quiet")
    assert text.startswith("70 faces, eyes at 0.3")
    assert text.endswith(f"-> {out}\n")
    assert cv2.imread(str(sheet)).shape == (5 * 160, 8 * 160, 3)
    document = json.loads(printed("landmarks", "synthetic:70", "--out", out, "--json"))
    assert document["schema"] == "edge-fer/data-landmarks/1"
    assert (document["n"], document["preview"]) == (70, None)
    assert sum(split["n"] for split in document["splits"]) == 70
    one = printed("landmarks", "synthetic:70", "--out", out, "--split", "Training", "--json")
    assert json.loads(one)["n"] == document["splits"][0]["n"]


def test_an_existing_preview_is_replaced_by_force_and_the_points_are_kept(tmp_path):
    out, sheet = tmp_path / "landmarks.npz", tmp_path / "points.png"
    printed("landmarks", "synthetic:70", "--out", out)
    sheet.write_text("precious")
    arguments = ("landmarks", "synthetic:77,1", "--out", out, "--preview", sheet)
    assert isinstance(run(*arguments).exception, OutputError)
    assert sheet.read_text() == "precious"
    printed(*arguments, "--force")
    assert cv2.imread(str(sheet)) is not None
    with np.load(out) as arrays:
        assert len(arrays["keys_N16"]) == 147


def test_landmarks_stopped_by_ctrl_c_go_on_where_they_were(spec, tmp_path, monkeypatch):
    from edge_fer.data import landmarks

    asked = []

    def predict(gray, box):
        asked.append(box)
        if len(asked) == 12:
            raise KeyboardInterrupt
        return np.zeros((68, 2), np.float32)

    monkeypatch.setattr(landmarks, "open_predictor", lambda: predict)
    out = tmp_path / "landmarks.npz"
    stopped = run("landmarks", spec, "--out", out)
    assert stopped.exit_code == 130
    assert f"what was found is in {out}" in stopped.stderr
    printed("landmarks", spec, "--out", out)
    assert len(asked) == 12 + 27 - 11  # 28 faces, one of them twice


def test_landmarks_without_dlib_name_the_extra(spec, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    out = tmp_path / "landmarks.npz"
    assert isinstance(run("landmarks", spec, "--out", out).exception, MissingExtraError)
    assert not out.exists()


@pytest.mark.parametrize("out", ["points.txt", "points"])
def test_landmarks_are_kept_in_an_npz_only(spec, tmp_path, out):
    result = run("landmarks", spec, "--out", tmp_path / out)
    assert isinstance(result.exception, OutputError)
    assert not (tmp_path / out).exists()
