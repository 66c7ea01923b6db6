"""The zoo's document: our counts, and the papers' figures beside them."""

import json
from pathlib import Path

import pytest

from edge_fer.errors import EdgeFerError, ModelError
from edge_fer.models import MODELS
from edge_fer.resources import FOLDERS, resource_names
from edge_fer.zoo import layers_document, models_document, read_published

TOTALS = {
    "arch-1": 293_951,
    "arch-2": 1_142_463,
    "arch-3": 306_831,
    "arch-4": 1_155_343,
    "patt-lite": 1_102_664,
}
KEYS = {
    "name", "input_nchw", "classes", "params_total", "params_trainable", "macs", "flops",
    "float32_mb", "peak_activation_mb", "published",
}  # fmt: skip


@pytest.fixture(scope="module")
def document():
    return models_document()


def test_every_model_has_its_row(document):
    assert document["schema"] == "edge-fer/models/1"
    assert [model["name"] for model in document["models"]] == list(MODELS)
    for model in document["models"]:
        assert set(model) >= KEYS
        assert model["flops"] == 2 * model["macs"]
        assert model["params_total"] >= model["params_trainable"] > 0
    assert json.loads(json.dumps(document)) == document


def test_totals_are_the_papers(document):
    found = {model["name"]: model["params_total"] for model in document["models"]}
    assert {name: found[name] for name in TOTALS} == TOTALS
    (ensemble,) = models_document(["part-ensemble"], classes=8)["models"]
    assert ensemble["params_total"] == 1_647_480


def test_published_totals_of_arch_differ_by_nothing(document):
    for model in document["models"]:
        for figure in model["published"]["complexity"]:
            if figure["quantity"] == "params_total":
                assert figure["difference_percent"] == 0
                assert figure["ours"] == model["params_total"]


def test_figures_that_cannot_be_right_carry_a_note():
    (ensemble,) = models_document(["part-ensemble"], classes=8)["models"]
    (flops,) = [f for f in ensemble["published"]["complexity"] if f["quantity"] == "flops"]
    assert flops["difference_percent"] > 15
    assert "layer" in flops["note"]
    (patt,) = models_document(["patt-lite"])["models"]
    best = [f for f in patt["published"]["accuracy"] if f["value"] in (92.5, 95.05)]
    assert best
    assert all("not reproducible" in figure["note"].lower() for figure in best)


def test_layers_add_up_to_the_totals():
    for name in ("arch-1", "patt-lite"):
        document = layers_document(name)
        assert sum(layer["macs"] for layer in document["layers"]) == document["macs"]
        assert sum(layer["params"] for layer in document["layers"]) == document["params_total"]


def test_an_unknown_model_is_named():
    with pytest.raises(ModelError, match="arch-9"):
        models_document(["arch-9"])


@pytest.mark.parametrize("paper", resource_names("published"))
def test_every_published_figure_says_where_it_stands(paper):
    document = read_published(paper)
    assert document["paper"]["title"]
    assert document["accuracy"]
    for figure in (*document["accuracy"], *document.get("complexity", [])):
        assert isinstance(figure["value"], int | float)
        assert figure.get("model", "arch-1") in MODELS


def test_a_table_without_its_place_is_refused(tmp_path: Path, monkeypatch):
    (tmp_path / "bad.toml").write_text('[[accuracy]]\nvalue = 1.0\nunit = "%"\n')
    monkeypatch.setitem(FOLDERS, "published", (str(tmp_path), "{name}.toml"))
    with pytest.raises(EdgeFerError, match="lacks"):
        read_published("bad")
