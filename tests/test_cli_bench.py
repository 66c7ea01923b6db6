import json

import pytest
from typer.testing import CliRunner

from edge_fer.bench import bench as benching
from edge_fer.cli import app
from edge_fer.errors import EdgeFerError, OutputError

QUICK = ["bench", "--rounds", "2", "--inferences", "2", "--threads", "1", "--engine", "litert"]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    start = dict.fromkeys(("rss_mb", "cold_start_ms", "load_ms", "first_inference_ms"), 1.0)
    monkeypatch.setattr(benching, "footprint", lambda *_: start)


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.tflite", "--suite", "zoo"], "not both"),
        (["--format", "word"], "markdown"),
        (["--suite", "none-such"], "papers, zoo"),
        (["compare", "a.json"], "two results"),
        (["compare", "a.json", "b.json"], "a.json"),
        (["--threads", "none"], "thread counts"),
    ],
)
def test_bad_use_is_refused_in_words(arguments, words):
    with pytest.raises(EdgeFerError, match=words):
        run("bench", *arguments)


def test_a_result_is_written_by_name_not_replaced_and_compared(tmp_path):
    done = run(*QUICK, "--quiet", "--out", str(tmp_path), "--format", "csv")
    assert done.stdout.startswith("table,file,engine")
    (written,) = tmp_path.glob("bench_*_*.json")
    with pytest.raises(OutputError, match="--force"):
        run(*QUICK, "--out", str(tmp_path))
    done = run("bench", "compare", str(written), str(written), "--json")
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["ratio"], row["verdict"]) == (1, "noise")


def test_a_file_called_compare_is_reached_by_a_path(tmp_path, monkeypatch, shipped_bundle):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compare").symlink_to(shipped_bundle)
    done = run(*QUICK, "--json", "./compare")
    assert json.loads(done.stdout)["schema"] == "edge-fer/bench/1"
