from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_fer.data.protocols import make_folds, write_protocol
from edge_fer.data.spec import read_dataset
from edge_fer.errors import DataError
from edge_fer.evaluate.labelled import Selection, read_selection


@pytest.fixture
def spec(tmp_path: Path) -> str:
    """Twelve faces of four people in two classes; the last one's first face is a copy."""
    rng = np.random.default_rng(0)
    rows = ["path,label,subject"]
    for index in range(12):
        face = rng.integers(0, 256, (48, 48), np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), face)
        rows.append(f"{index}.png,{('happy', 'sad')[index % 2]},S{index // 3}")
    (tmp_path / "9.png").write_bytes((tmp_path / "0.png").read_bytes())
    (tmp_path / "faces.csv").write_text("\n".join(rows) + "\n")
    return f"csv:{tmp_path / 'faces.csv'}"


@pytest.fixture
def protocol(spec: str, tmp_path: Path) -> Path:
    dataset, file = read_dataset(spec), tmp_path / "loso.json"
    write_protocol(file, dataset, make_folds(dataset, "loso", k=0, seed=0))
    return file


def test_a_fold_is_its_test_side_with_the_leaks_from_its_training_side(spec, protocol):
    test = read_selection(Selection(data=spec, protocol=protocol, fold="S3"))
    assert test.faces.names == ("9.png", "10.png", "11.png")
    assert test.leaked_N.tolist() == [True, False, False]
    assert test.fold == "S3"


def test_the_only_fold_needs_no_name(spec, tmp_path):
    dataset, file = read_dataset(spec), tmp_path / "one.json"
    folds = make_folds(dataset, "holdout", k=0, seed=0)
    write_protocol(file, dataset, folds)
    test = read_selection(Selection(data=spec, protocol=file))
    assert set(test.faces.names) == set(folds[0].test)


def test_an_unknown_fold_is_refused_with_those_there_are(spec, protocol):
    for name in ("S9", None):
        with pytest.raises(DataError, match=r"loso\.json.*S0, S1, S2, S3"):
            read_selection(Selection(data=spec, protocol=protocol, fold=name))


def test_all_is_every_face_in_the_order_of_the_dataset(spec):
    test = read_selection(Selection(data=spec, split="all"))
    assert test.faces.names == tuple(f"{index}.png" for index in range(12))
    assert test.leaked_N is None


def test_a_fold_is_a_test_set(protocol):
    selection = Selection(data="csv:unread", protocol=protocol, fold="S3")
    assert selection.is_test
    assert selection.part == "test"
    assert not Selection(data="csv:unread", split="PublicTest").is_test


def test_what_contradicts_itself_is_refused(protocol):
    with pytest.raises(DataError, match="exclude"):
        Selection(data="csv:x", protocol=protocol, split="test")
    with pytest.raises(DataError, match="--fold needs --protocol"):
        Selection(data="csv:x", fold="S3")
