import json
import os

import pytest

from edge_fer.bench import bench as benching
from edge_fer.bench.bench import Request, bench, noise_warnings
from edge_fer.bench.footprint import footprint
from edge_fer.bench.subjects import read_subjects
from edge_fer.bundle import Bundle
from edge_fer.errors import EdgeFerError, ModelError

KEYS = {
    "file",
    "format",
    "precision",
    "engine",
    "threads",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "fps",
    "cpu_ms",
    "params",
    "macs",
    "flops",
    "size_mb",
    "arena_mb",
    "rss_mb",
    "load",
    "p999_ms",
    "p50_ci95_ms",
    "round_p50_ms",
    "ratio",
    "ratio_ci95",
    "energy_mj",
    "gmacs_per_s",
    "cold_start_ms",
    "load_ms",
    "first_inference_ms",
}
HERE = ("litert", "onnxruntime")


@pytest.fixture
def no_footprint(monkeypatch):
    start = dict.fromkeys(("rss_mb", "cold_start_ms", "load_ms", "first_inference_ms"), 1.0)
    monkeypatch.setattr(benching, "footprint", lambda *_: start)


def without(*absent):
    return lambda engine: "not installed" if engine in absent else None


def quick(**changes):
    return Request(**{"threads": [1], "rounds": 1, "inferences": 1, "engines": HERE} | changes)


def row(p50_ms=1.0, p90_ms=1.1):
    return {"p50_ms": p50_ms, "p90_ms": p90_ms}


def test_a_calm_machine_gives_no_warning():
    assert noise_warnings([row(), row()], load_before=1.1, cores=2) == []
    assert noise_warnings([row()], load_before=None, cores=2) == []


def test_load_before_the_start_is_a_warning_with_the_load():
    (warning,) = noise_warnings([row()], load_before=1.3, cores=2)
    assert "load 1.3 on 2 cores" in warning
    assert noise_warnings([row()], load_before=1.3, cores=4) == []


def test_scattered_times_are_a_warning_with_the_spread():
    (warning,) = noise_warnings([row(1.0, 1.8)] * 3, load_before=0.0, cores=2)
    assert "1.8 times" in warning


def test_one_scattered_row_of_many_is_no_warning():
    assert noise_warnings([row(), row(), row(1.0, 9.0)], load_before=0.0, cores=2) == []


@pytest.mark.usefixtures("no_footprint")
def test_a_bundle_gives_a_row_per_file_engine_and_thread_count(bundle_dir):
    finished = []
    request = quick(threads=[1, 2], rounds=2, inferences=3)
    document = bench([bundle_dir], request, finished.append)
    bundle = Bundle.load(bundle_dir)
    assert document["schema"] == "edge-fer/bench/1"
    assert finished == [1, 2]
    tflite = [row for row in document["rows"] if row["engine"] == "litert"]
    assert sorted((row["precision"], row["threads"]) for row in tflite) == [
        ("fp32", 1),
        ("fp32", 2),
        ("int8", 1),
        ("int8", 2),
    ]
    for measured in document["rows"]:
        assert set(measured) >= KEYS
        assert 0 < measured["p50_ms"] <= measured["p90_ms"] <= measured["p99_ms"]
        assert measured["fps"] == pytest.approx(1000 / measured["p50_ms"])
        assert measured["params"] == bundle.manifest.params
        assert measured["flops"] == 2 * measured["macs"]
    assert document["machine"]["cores"] == os.cpu_count()
    assert json.loads(json.dumps(document)) == document


@pytest.mark.usefixtures("no_footprint")
def test_an_engine_that_is_missing_is_listed_and_the_rest_is_measured(bundle_dir, monkeypatch):
    monkeypatch.setattr(benching, "why_missing", without("onnxruntime", "openvino"))
    document = bench([bundle_dir], quick(engines=("litert", "onnxruntime", "openvino", "ncnn")))
    assert {measured["format"] for measured in document["rows"]} == {"tflite"}
    assert sorted(document["skipped"]) == [
        benching.NCNN_SKIPPED,
        "onnxruntime: not installed",
        "openvino: not installed",
    ]


@pytest.mark.usefixtures("no_footprint")
def test_the_fastest_row_is_what_the_others_are_compared_with(bundle_dir):
    rows = bench([bundle_dir], quick(rounds=3))["rows"]
    fastest = min(rows, key=lambda row: row["p50_ms"])
    assert (fastest["ratio"], fastest["ratio_ci95"]) == (1, [1, 1])
    for measured in rows:
        low, high = measured["ratio_ci95"]
        assert low <= measured["ratio"] <= high
        assert len(measured["round_p50_ms"]) == 3


@pytest.mark.usefixtures("no_footprint")
def test_the_limit_is_measured_in_the_same_run_and_per_precision(bundle_dir):
    pytest.importorskip("onnx")
    document = bench([bundle_dir], quick(limit=True))
    assert len(document["rows"]) == 4
    limits = {
        (row["engine"], row["precision"]): row["limit_gmacs_per_s"] for row in document["rows"]
    }
    assert len(set(limits.values())) == 4
    for measured in document["rows"]:
        assert measured["gmacs_per_s"] == pytest.approx(measured["macs"] / measured["p50_ms"] / 1e6)
        assert measured["limit_percent"] == pytest.approx(
            100 * measured["gmacs_per_s"] / measured["limit_gmacs_per_s"]
        )


def test_an_engine_that_nobody_knows_is_refused(bundle_dir):
    with pytest.raises(ModelError, match="abacus"):
        bench([bundle_dir], quick(engines=("abacus",)))


def test_nothing_to_measure_is_an_error_that_says_why(bundle_dir, monkeypatch):
    monkeypatch.setattr(benching, "why_missing", without(*HERE))
    with pytest.raises(ModelError, match="not installed"):
        bench([bundle_dir], quick())


def test_a_bare_file_is_described_by_its_own_graph(bundle_dir):
    (said,) = [f for f in Bundle.load(bundle_dir).manifest.files if f.file == "model.int8.tflite"]
    (subject,) = read_subjects(bundle_dir / "model.int8.tflite")
    assert (subject.name, subject.format, subject.precision) == (said.file, "tflite", "int8")
    assert (subject.params, subject.macs, subject.arena_mb) == (
        said.params,
        said.macs,
        said.arena_mb,
    )
    (subject,) = read_subjects(bundle_dir / "model.fp32.tflite")
    assert subject.precision == "fp32"


def test_a_bare_onnx_file_is_described_by_its_own_graph(bundle_dir):
    pytest.importorskip("onnx")
    for said in Bundle.load(bundle_dir).manifest.files:
        if said.format == "onnx":
            (subject,) = read_subjects(bundle_dir / said.file)
            assert (subject.precision, subject.macs) == (said.precision, said.macs)


@pytest.mark.parametrize("name", ["none.tflite", "text.tflite", "text.onnx", "text.tar"])
def test_what_cannot_be_measured_is_refused_by_name(tmp_path, name):
    if name.startswith("text"):
        (tmp_path / name).write_text("no model")
    with pytest.raises(EdgeFerError, match=name):
        bench([tmp_path / name], quick())


def test_the_footprint_of_a_real_model_is_plausible(bundle_dir):
    content = (bundle_dir / "model.int8.tflite").read_bytes()
    start = footprint("litert", content, 1, starts=1)
    assert 10 < start["rss_mb"] < 500
    assert 0 < start["first_inference_ms"] + start["load_ms"] < start["cold_start_ms"] < 60_000


def test_a_model_that_does_not_load_has_no_footprint():
    start = footprint("litert", b"no model", 1, starts=1)
    assert start["rss_mb"] is start["cold_start_ms"] is None
