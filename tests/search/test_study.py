"""Searches from the command line to their document."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from edge_fer.models.emonas import genotype_document, load_genotype
from edge_fer.search.draw import random_genotypes
from edge_fer.search.space import Space, parse_space
from edge_fer.search.study import best_genotype, summarise
from edge_fer.train.checkpoint import load_checkpoint
from tests.search.made import SPACE, make_table, table_document

SIZE = "--cells 3 --nodes 5 --channels 4 --input-px 16"
OPTIONS = "--epochs 1 --batch-size 8 --threads 1"
TRAINED = "--seeds 2 --train-epochs 1 --drawn 1 --precision float32"


def edge_fer(monkeypatch, *arguments):
    from edge_fer.cli import main

    monkeypatch.setattr("sys.argv", ["edge-fer", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


@pytest.fixture
def search(monkeypatch, tiny_fer2013, capsys):
    def run(*more, size=SIZE):
        data = f"fer2013:{tiny_fer2013}"
        line = ["search", "--data", data, "--quiet", *size.split(), *OPTIONS.split(), *more]
        return edge_fer(monkeypatch, *line), capsys.readouterr()

    return run


def test_seeds_and_genotypes_by_lot_in_one_document(search, tmp_path):
    table = tmp_path / "table.json"
    table.write_text(json.dumps(table_document(make_table())))
    out, line = tmp_path / "run", (*TRAINED.split(), "--table", table, "--budget-ms", "3")
    code, said = search("--out", out, "--json", *line)
    assert code == 0
    document = json.loads(said.out)
    assert document == json.loads((out / "search.json").read_text())
    assert document["schema"] == "edge-fer/search/1"
    assert [one["seed"] for one in document["searches"]] == [0, 1]
    names = ["searched-0", "searched-1", "drawn-0"]
    assert [one["name"] for one in document["trained"]] == names
    (by_lot,) = random_genotypes(SPACE, 1, seed=0)
    assert document["trained"][2]["genotype"] == genotype_document(by_lot)
    assert document["trained"][0]["genotype"] == document["searches"][0]["genotype"]
    for one in document["trained"]:
        assert one["predicted_ms"]["int8"] > 0
        checkpoint = load_checkpoint(out / "trained" / one["name"] / "best.safetensors")
        assert checkpoint.metadata["options"]["genotype"] == one["genotype"]
    assert document["summary"]["searched"]["n"] == 2
    assert genotype_document(load_genotype(out / "genotype.json")) == document["genotype"]
    for seed in (0, 1):
        for name in ("cells.svg", "search.svg"):
            ElementTree.fromstring((out / f"seed-{seed}" / name).read_text())

    code, said = search("--out", out, *line)
    assert code == 2
    assert "--resume" in said.err
    code, said = search("--out", out, "--json", "--resume", *line)
    assert json.loads(said.out) == document | {"command": json.loads(said.out)["command"]}


def test_a_search_for_several_sizes_keeps_the_best_of_all(search, tmp_path):
    sizes, tables = ("3x5x4@16", "4x5x8@16"), []
    for size in sizes:
        document = table_document(make_table(parse_space(size)))
        tables.append(tmp_path / f"{size}.json")
        tables[-1].write_text(json.dumps(document))
    line = [word for size in sizes for word in ("--final", size)]
    line += [word for path in reversed(tables) for word in ("--table", path)]
    line += ["--seeds", "1", "--train-epochs", "1", "--drawn", "1", "--budget-ms", "4"]
    out = tmp_path / "run"
    code, said = search("--out", out, "--json", *line)
    assert code == 0
    document = json.loads(said.out)
    assert document == json.loads((out / "sizes.json").read_text())
    assert document["schema"] == "edge-fer/search-sizes/1"
    assert [row["final"] for row in document["sizes"]] == list(sizes)
    best = max(document["sizes"], key=lambda row: row["accuracy"])
    assert document["final"] == best["final"]
    for size, path in zip(sizes, tables, strict=True):
        study = json.loads((out / size / "search.json").read_text())
        assert study["config"]["table"] == str(path)
        assert str(Space(**study["config"]["final"])) == size
        assert (out / size / "seed-0/cells.svg").is_file()
    found = load_genotype(out / "genotype.json")
    assert (found.cells, found.channels) == ((3, 4), (4, 8))[sizes.index(document["final"])]
    assert genotype_document(found) == document["genotype"]

    code, said = search("--out", out, *line, "--resume")
    assert code == 0
    assert f"for {document['final']} -> {out / 'genotype.json'}" in said.out


def test_what_is_searched_is_as_the_final_network_where_nothing_else_is_said(search, tmp_path):
    sizes = ("3x4x4@16", "4x5x4@16")
    finals = [word for size in sizes for word in ("--final", size)]
    out = tmp_path / "run"
    code, said = search("--out", out, *finals, *TRAINED.split(), "--json", size="--channels 8")
    assert code == 0
    for size, row in zip(sizes, json.loads(said.out)["sizes"], strict=True):
        searched = Space(**json.loads((out / size / "search.json").read_text())["config"]["space"])
        assert str(searched) == size.replace("x4@", "x8@")
        assert (row["searched"]["n"], row["drawn"]["n"]) == (2, 1)


def test_sizes_that_cannot_be_compared_are_one_line(search, tmp_path):
    table = tmp_path / "table.json"
    table.write_text(json.dumps(table_document(make_table())))
    other = table_document(make_table(parse_space("4x5x8@16")))
    (tmp_path / "other.json").write_text(json.dumps(other))
    two = ("--final", "3x5x4@16", "--final", "5x5x4@16")
    for more, message in (
        ((*two, "--train-epochs", "0"), "--train-epochs"),
        (("--final", "3x5x4@16", "--final", "3x5x4@16"), "twice"),
        ((*two, "--table", table), "no table is of networks 5x5x4@16"),
        ((*two, "--table", table, "--table", tmp_path / "other.json"), "--space 5x5x4@16"),
    ):
        code, said = search("--out", tmp_path / "run", *more)
        assert code == 2
        assert message in said.err
        assert said.err.count("\n") == 1


def test_without_training_the_search_stands_alone(search, tmp_path):
    code, said = search("--out", tmp_path / "run", "--seeds", "1", "--train-epochs", "0")
    assert code == 0
    assert "genotype.json" in said.out
    document = json.loads((tmp_path / "run/search.json").read_text())
    assert document["trained"] == []
    assert document["genotype"] == document["searches"][0]["genotype"]
    assert document["summary"]["difference"] is None


def test_the_training_afterwards_has_settings_and_faces_of_its_own(search, tmp_path):
    line = "--faces 16 --set learning_rate=0.02 --train-faces 18 --train-set learning_rate=0.003"
    code, _ = search("--out", tmp_path / "run", *TRAINED.split(), "--seeds", "1", *line.split())
    assert code == 0
    config = json.loads((tmp_path / "run/seed-0/config.json").read_text())
    assert (config["faces"], config["stage"]["learning_rate"]) == (16, 0.02)
    for name in ("searched-0", "drawn-0"):
        config = json.loads((tmp_path / "run/trained" / name / "config.json").read_text())
        assert (config["faces"], config["stages"][0]["learning_rate"]) == (18, 0.003)


def test_bad_use_is_one_line(search, tmp_path):
    for more, message in (
        (("--guard", "luck"), "unknown guard"),
        (("--nodes", "3"), "nodes"),
        (("--final", "5x7"), "5x7x36@48"),
        (("--seeds", "0"), "seeds"),
        (("--train-faces", "-1"), "faces"),
        (("--table", "absent.json"), "absent.json"),
    ):
        code, said = search("--out", tmp_path / "run", *more)
        assert code == 2
        assert message in said.err
        assert said.err.count("\n") == 1


def test_the_best_one_is_the_one_trained_best():
    searches = [
        {"genotype": {"a": 1}, "validation_loss": 2.0, "seconds": 10.0},
        {"genotype": {"b": 1}, "validation_loss": 1.5, "seconds": 20.0},
    ]
    trained = [
        {"kind": "searched", "genotype": {"a": 1}, "accuracy": 0.5, "seconds": 4.0},
        {"kind": "searched", "genotype": {"b": 1}, "accuracy": 0.4, "seconds": 4.0},
        {"kind": "drawn", "genotype": {"c": 1}, "accuracy": 0.6, "seconds": 7.0},
    ]
    assert best_genotype(searches, []) == {"b": 1}
    assert best_genotype(searches, trained) == {"a": 1}
    summary = summarise(searches, trained)
    assert summary["difference"] == pytest.approx(-0.15)
    assert summary["search_s"] == 15
    assert summary["training_s"] == 5
