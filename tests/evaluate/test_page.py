import re

import numpy as np
import pytest

pytest.importorskip("jinja2", reason="the extra report")
pytest.importorskip("matplotlib", reason="the extra report")

from edge_fer.errors import OutputError
from edge_fer.evaluate.compare import comparison
from edge_fer.evaluate.metrics import reliability_bins, report
from edge_fer.evaluate.page import evaluation_page, refuse_full_folder, write_pictures
from edge_fer.evaluate.tables import (
    comparison_table,
    names_of,
    remarks,
    subset_table,
    summary_table,
    temperature_table,
)

LABELS = ("angry", "<script>", "a & b")
HEAD = {"format": "safetensors", "precision": "fp32", "engine": "torch"}


@pytest.fixture
def document():
    """Two checkpoints of one name in two folders, on forty faces."""
    rng = np.random.default_rng(0)
    labels_N = rng.integers(0, 3, 40)
    said = [rng.dirichlet(np.ones(3), 40) for _ in range(2)]
    heads = [
        {**HEAD, "model": f"run-{k}/best.safetensors", "file": "best.safetensors"} for k in "ab"
    ]
    results = [
        {
            **head,
            "temperature": 1.0,
            **report(p_NK, labels_N, LABELS),
            "reliability": reliability_bins(p_NK, labels_N),
        }
        for head, p_NK in zip(heads, said, strict=True)
    ]
    compared = {"first": heads[0], "second": heads[1], **comparison(*said, labels_N)}
    return {
        "schema": "edge-fer/evaluate/1",
        "data": "fer2013",
        "split": "PublicTest",
        "classes": {
            "evaluated": list(LABELS),
            "dropped_from_data": {"contempt": 3},
            "dropped_from_models": {"run-b/best.safetensors": ["neutral"]},
        },
        "data_terms": "some labels are <wrong>",
        "command": "edge-fer evaluate 'a b'",
        "machine": {
            "cpu": "Cortex-A76", "cores": 4, "system": "Linux", "python": "3.11",
            "versions": {"numpy": "2.4"},
        },
        "results": results,
        "comparisons": [compared],
    }  # fmt: skip


def with_fit(document):
    row = {"file": "best.safetensors", "engine": "torch"}
    figures = {"before": {"ece": 0.1, "nll": 1.2}, "after": {"ece": 0.02, "nll": 1.1}}
    fit = {
        "value": 1.5, "previous": 1.0, "n": 37, "leaks_left_out": 3, "stored_in": "best",
        "at_bound": True, "files": [{**row, **figures}],
    }  # fmt: skip
    return {**document, "temperature_fit": fit}


def test_the_page_holds_every_part_with_text_escaped(document):
    page = evaluation_page(with_fit(document))
    assert "<script" not in page
    for words in (
        "Evaluation on fer2013 PublicTest", "Cortex-A76", "edge-fer evaluate &#39;a b&#39;",
        "contempt (3 faces)", "neutral", "some labels are &lt;wrong&gt;", "Newcombe",
        "run-a/best.safetensors", "run-b/best.safetensors", "a &amp; b", "3 leaks left out",
    ):  # fmt: skip
        assert words in page, words
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    assert page.count("<svg") == 4
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]+"', "", page)


def test_the_page_is_the_same_every_time(document):
    assert evaluation_page(document) == evaluation_page(document)


def test_one_model_alone_has_no_comparison(document):
    alone = {**document, "results": document["results"][:1], "comparisons": []}
    assert comparison_table(alone) is None
    assert "McNemar" not in evaluation_page(alone)


def test_files_of_one_name_are_told_apart_by_their_models(document):
    assert names_of(document) == ["run-a/best.safetensors", "run-b/best.safetensors"]
    alone = {**document, "results": document["results"][:1]}
    assert names_of(alone) == ["best.safetensors"]


def test_tables_have_a_cell_for_every_head(document):
    for table in (
        summary_table(document), comparison_table(document), temperature_table(with_fit(document)),
    ):  # fmt: skip
        assert table.rows
        assert all(len(row) == len(table.heads) for row in table.rows)
    assert temperature_table(document) is None


def test_faces_with_tags_are_a_table_of_the_page(document):
    assert subset_table(document) is None
    first, second = document["results"]
    tagged = {"occlusion": {**first, "n": 7}, "pose-30": {**first, "n": 11}}
    tagged_document = {**document, "results": [{**first, "subsets": tagged}, second]}
    table = subset_table(tagged_document)
    assert [row[2:4] for row in table.rows] == [("occlusion", "7"), ("pose-30", "11")]
    assert all(len(row) == len(table.heads) for row in table.rows)
    assert "Subsets" in evaluation_page(tagged_document)


def test_remarks_say_what_is_missing_and_what_is_doubtful(document):
    assert len(remarks(with_fit(document))) == 3
    whole = {**document, "classes": {"dropped_from_data": {}, "dropped_from_models": {}}}
    assert remarks(whole) == []


def test_pictures_of_each_result(document, tmp_path):
    write_pictures(tmp_path / "pictures", document)
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == [
        f"{kind}-{k}-best-safetensors-torch.png"
        for kind in ("confusion", "reliability")
        for k in (1, 2)
    ]


def test_a_folder_with_something_in_it_is_kept_for_force(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("precious")
    for name in ("new", "empty"):
        refuse_full_folder(tmp_path / name, force=False)
    with pytest.raises(OutputError, match="--force"):
        refuse_full_folder(tmp_path, force=False)
    refuse_full_folder(tmp_path, force=True)
    with pytest.raises(OutputError, match="is a file"):
        refuse_full_folder(tmp_path / "file", force=True)


def with_curves(document):
    steps = [
        {"level": n, "n": 40, "accuracy": 1 / n, "accuracy_ci95": [0, 1]} for n in (1, 2, 3, 4)
    ]
    curves = [{"disturbance": name, "unit": "<px>", "levels": steps} for name in ("blur", "dark")]
    first, *others = document["results"]
    return document | {"results": [first | {"robustness": curves}, *others]}


def test_disturbed_faces_are_a_table_a_curve_and_a_picture(document, tmp_path):
    page = evaluation_page(with_curves(document))
    for words in ("disturbed faces", "blur", "&lt;px&gt;", "3: 33.33"):
        assert words in page, words
    assert page.count("<svg") == 5
    write_pictures(tmp_path, with_curves(document))
    assert len(list(tmp_path.glob("robustness-*.png"))) == 1
