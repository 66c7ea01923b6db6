import json

import numpy as np
import pytest

from edge_fer.bench.compare import compare, read_results
from edge_fer.errors import EdgeFerError


def row(file="a", factor=1.0, seed=0, **changes):
    rounds = factor * np.random.default_rng(seed).lognormal(0, 0.01, 20)
    return {
        "file": file,
        "engine": "litert",
        "threads": 1,
        "p50_ms": float(np.median(rounds)),
        "cpu_ms": factor,
        "round_p50_ms": rounds.tolist(),
    } | changes


def document(*rows, **changes):
    machine = {"cpu": "x", "cores": 2, "architecture": "y"}
    return {"schema": "edge-fer/bench/1", "machine": machine, "rows": list(rows)} | changes


def test_each_row_has_its_ratio_and_verdict():
    before = document(row("same"), row("slow"), row("fast"))
    after = document(row("same", seed=1), row("slow", 1.2, 2), row("fast", 0.8, 3))
    found = {one["file"]: one for one in compare(before, after)["rows"]}
    assert [found[name]["verdict"] for name in ("same", "slow", "fast")] == [
        "noise",
        "slower",
        "faster",
    ]
    assert found["slow"]["ratio"] == pytest.approx(1.2, rel=0.02)
    low, high = found["slow"]["ratio_ci95"]
    assert low < 1.2 < high
    assert found["slow"]["cpu_ratio"] == pytest.approx(1.2)


def test_rows_of_one_side_are_listed():
    found = compare(document(row("a"), row("b")), document(row("b"), row("c")))
    assert [one["file"] for one in found["only_before"]] == ["a"]
    assert [one["file"] for one in found["only_after"]] == ["c"]


def test_a_result_without_rounds_gets_no_verdict():
    (found,) = compare(document(row(round_p50_ms=None)), document(row(factor=2)))["rows"]
    assert (found["verdict"], found["ratio_ci95"]) == ("unknown", None)
    assert found["ratio"] == pytest.approx(2, rel=0.05)


def test_what_makes_a_comparison_doubtful_is_said():
    names = "abc"
    before = document(*(row(n) for n in names), warnings=["noisy machine: load 9"])
    after = document(*(row(n, 1.1) for n in names))
    after["machine"] = after["machine"] | {"cores": 4}
    warnings = " / ".join(compare(before, after)["warnings"])
    assert "before: noisy machine" in warnings
    assert "cores 2 before, 4 after" in warnings
    assert "+10.0%" in warnings


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "edge-fer/evaluate/1"}'])
def test_other_files_are_refused_by_name(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(EdgeFerError, match=r"a\.json"):
        read_results(tmp_path / "a.json")


def test_results_are_read_back(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(document(row())))
    assert read_results(tmp_path / "a.json")["rows"][0]["file"] == "a"
