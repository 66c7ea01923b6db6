import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import DataError, OutputError
from edge_fer.evaluate.metrics import report
from edge_fer.evaluate.micro import composite_report
from edge_fer.evaluate.predictions import (
    FoldPredictions,
    databases_of,
    pooled_report,
    write_predictions,
)

NAMES = ("negative", "positive", "surprise")
HEAD = {"model": "runs/best.safetensors", "file": "best.safetensors", "engine": "torch"}


def fold_of(fold, pairs, first=0, label_names=NAMES, databases=()):
    labels, predicted = np.array(pairs).T
    return FoldPredictions(
        fold=fold,
        names=tuple(f"face-{first + index}" for index in range(len(pairs))),
        labels_N=labels,
        probabilities_NK=np.eye(len(label_names))[predicted] * 0.7 + 0.1,
        label_names=label_names,
        databases=databases,
    )


PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)


@given(pairs=PAIRS, data=st.data())
@settings(deadline=None, max_examples=60)
def test_pooled_folds_are_one_test_set(pairs, data):
    cut = data.draw(st.integers(0, len(pairs) - 1))
    folds = [fold_of("whole", pairs)]
    if cut:
        folds = [fold_of("b", pairs[cut:], cut), fold_of("a", pairs[:cut])]
    pooled = pooled_report(folds)
    whole = folds[0] if not cut else fold_of("whole", pairs[cut:] + pairs[:cut])
    expected = report(whole.probabilities_NK, whole.labels_N, NAMES)
    assert {key: pooled[key] for key in expected} == expected
    composite = composite_report(whole.labels_N, whole.predicted, ["all"] * len(pairs), NAMES)
    assert pooled["composite"] == composite
    assert (pooled["composite"]["uf1"], pooled["composite"]["uar"]) == pytest.approx(
        (pooled["uf1"], pooled["uar"])
    )
    assert [fold["n"] for fold in pooled["folds"]] == [len(fold.names) for fold in folds]


def test_a_composite_is_scored_by_database():
    names = ("casme2/s1_a", "samm/s1_b", "smic/s1_c")
    assert databases_of("megc2019", names) == ("casme2", "samm", "smic")
    assert databases_of("raf-db", ("test/happy/1.png",)) == ("raf-db",)
    fold = fold_of("s1", [(0, 0), (1, 1), (2, 0)], databases=databases_of("megc2019", names))
    databases = pooled_report([fold])["composite"]["databases"]
    assert [(name, part["n"], part["uf1"]) for name, part in databases.items()] == [
        ("casme2", 1, 1), ("samm", 1, 1), ("smic", 1, 0),
    ]  # fmt: skip


def test_what_cannot_be_pooled_is_refused():
    fold = fold_of("a", [(0, 0)])
    with pytest.raises(DataError, match="no predictions"):
        pooled_report([])
    with pytest.raises(DataError, match="face-0 is tested in 2 folds"):
        pooled_report([fold, fold_of("b", [(0, 0)])])
    with pytest.raises(DataError, match="fold b has the classes x, y"):
        pooled_report([fold, fold_of("b", [(0, 0)], 1, ("x", "y"))])


def test_predictions_are_a_line_per_model_and_face(tmp_path):
    file = tmp_path / "predictions.csv"
    folds = [fold_of("s1", [(0, 0), (1, 2)]), fold_of("s1", [(0, 1), (1, 1)])]
    write_predictions(file, [HEAD, {**HEAD, "file": "other"}], folds)
    with file.open(newline="") as stream:
        first, second, third, _ = csv.DictReader(stream)
    assert first == {
        **HEAD, "fold": "s1", "name": "face-0", "label": "negative", "predicted": "negative",
        "p:negative": "0.8", "p:positive": "0.1", "p:surprise": "0.1",
    }  # fmt: skip
    assert (second["label"], second["predicted"]) == ("positive", "surprise")
    assert (third["file"], third["predicted"]) == ("other", "positive")


def test_awkward_names_come_back(tmp_path):
    file = tmp_path / "predictions.csv"
    names = ('a, "b"\n.png', "ö.png", "\udcff.png")
    fold = FoldPredictions(
        fold="",
        names=names,
        labels_N=np.zeros(3, int),
        probabilities_NK=np.full((3, 2), 0.5),
        label_names=("a,b", "c"),
    )
    write_predictions(file, [HEAD], [fold])
    with file.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(row["name"] for row in rows) == names
    assert rows[0]["label"] == "a,b"


def test_predictions_that_cannot_be_written_leave_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_predictions(tmp_path / "file" / "p.csv", [HEAD], [fold_of("", [(0, 0)])])
