"""Tables of operations: what is measured, what is taken off, and what is predicted of it."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from edge_fer.bench import op_table, probes
from edge_fer.bench.op_table import check, measure_table, operation_rows, read_probes, spearman
from edge_fer.errors import ModelError
from edge_fer.models.complexity import describe
from edge_fer.models.emonas import OPERATIONS, parse_genotype
from edge_fer.search.space import Place, Space, parse_space
from edge_fer.search.table import read_table


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_probe_is_its_operation_three_times_more(operation, stride):
    place = Place(4, 16, stride)
    around = describe(probes._probe(probes.NOTHING, place), (1, 3, 16, 16))
    probe = describe(probes._probe(operation, place), (1, 3, 16, 16))
    alone = describe(OPERATIONS[operation](4, stride, True), (1, 4, 16, 16))
    assert probe.macs - around.macs == probes.REPEATS * alone.macs
    assert probe.params_total - around.params_total == probes.REPEATS * alone.params_total


@pytest.mark.slow
def test_probes_run_in_both_precisions_and_are_made_once(tmp_path, monkeypatch):
    place = Place(4, 16, 1)
    entry = {"name": "tiny", "operation": "dil_conv_3x3", **place._asdict()}
    wanted = [(entry, lambda: probes._probe("dil_conv_3x3", place))]
    monkeypatch.setattr(probes, "_operations", lambda _: wanted)
    monkeypatch.setattr(probes, "BASE_NETWORKS", 0)
    seen = []
    probes.write_probes(Space(), tmp_path, 0, lambda *counts: seen.append(counts))
    for precision in ("fp32", "int8"):
        op_table._inference(tmp_path / f"tiny.{precision}.tflite")()
    before = (tmp_path / "tiny.int8.tflite").stat().st_mtime_ns
    probes.write_probes(Space(), tmp_path, 0, lambda *counts: seen.append(counts))
    assert (tmp_path / "tiny.int8.tflite").stat().st_mtime_ns == before
    assert seen == [(1, 1), (1, 1)]
    assert read_probes(tmp_path)["space"] == Space().to_dict()


SPACE = parse_space("3x4x4@16")


def made_probes():
    """Every probe of a small space, and three networks, of which the base is taken from one."""
    entries = [entry for entry, _ in (*probes._operations(SPACE), *probes._networks(SPACE, 3))]
    return {
        "schema": probes.SCHEMA,
        "name": str(SPACE),
        "space": SPACE.to_dict(),
        "repeats": probes.REPEATS,
        "base_networks": 1,
        "probes": entries,
    }


def made_times(entries, base_ms=5.0, noise_ms=0.0):
    """What probes would take if operations took 1 ms, 2 ms.. by their order, twice that halving."""
    rng = np.random.default_rng(0)
    cost = {name: number + 1.0 for number, name in enumerate(OPERATIONS)}
    cost |= {"skip_connect": 0.0, probes.NOTHING: 0.0}

    def one(operation, stride):
        if operation == "skip_connect":
            return 0.5 if stride == 2 else 0.0
        return stride * cost[operation]

    times = {}
    for entry in entries:
        if "parts" in entry:
            own = base_ms + sum(one(part[0], part[3]) for part in entry["parts"])
        else:
            own = 3 * one(entry["operation"], entry["stride"]) + entry["channels"]
        times[entry["name"]] = own + noise_ms * rng.standard_normal(9)
    return times


def test_what_is_around_an_operation_is_taken_off():
    document = made_probes()
    times = made_times(document["probes"])
    rows = operation_rows(document, {"fp32": times, "int8": times})
    assert len(rows) == 7 * len(SPACE.places)
    for row in rows:
        number = list(OPERATIONS).index(row["operation"]) + 1
        wanted = row["stride"] * number
        if row["operation"] == "skip_connect":
            wanted = 0.5 if row["stride"] == 2 else 0.0
        assert row["int8_ms"] == pytest.approx(wanted)
        assert row["fp32_ci95_ms"] == pytest.approx([wanted, wanted])


def test_networks_are_predicted_and_checked(tmp_path, monkeypatch):
    document = made_probes()
    (tmp_path / "probes.json").write_text(json.dumps(document))
    times = made_times(document["probes"])
    monkeypatch.setattr(op_table, "_rounds_ms", lambda *_, **__: times)
    table = measure_table(tmp_path, rounds=9, inferences=1, on_round=lambda _: None)
    assert table["base_ms"] == pytest.approx({"fp32": 5.0, "int8": 5.0})
    for network in table["networks"]:
        assert network["predicted_ms"] == pytest.approx(network["measured_ms"])
    assert table["check"]["int8"]["n"] == 2
    assert table["check"]["int8"]["max_error"] == pytest.approx(0, abs=1e-9)
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table))
    read = read_table(path)
    assert read.space == SPACE
    for network in table["networks"]:
        predicted = read.predict_ms(parse_genotype(network["genotype"]), "int8")
        assert predicted == pytest.approx(network["predicted_ms"]["int8"])


def test_noise_never_makes_an_operation_faster_than_nothing():
    document = made_probes()
    times = made_times(document["probes"], noise_ms=2.0)
    rows = operation_rows(document, {"fp32": times, "int8": times})
    assert min(row["fp32_ms"] for row in rows) == 0
    assert any(row["fp32_ci95_ms"][0] < 0 for row in rows)


def test_rank_correlation():
    one = np.array([3.0, 1.0, 2.0, 9.0])
    assert spearman(one, np.exp(one)) == pytest.approx(1)
    assert spearman(one, -one) == pytest.approx(-1)
    assert spearman(one, np.array([3.0, 2.0, 1.0, 9.0])) == pytest.approx(0.8)
    assert check([]) is None


@pytest.fixture
def copied_probes(tmp_path, shipped_bundle):
    """One and the same network as every probe: all operations take nothing, but for noise."""
    document = made_probes()
    for entry in document["probes"]:
        for precision in ("fp32", "int8"):
            target = tmp_path / f"{entry['name']}.{precision}.tflite"
            shutil.copy(shipped_bundle / "model.int8.tflite", target)
    (tmp_path / "probes.json").write_text(json.dumps(document))
    return tmp_path


_NO_CONVERTERS = """
import sys
for name in ("torch", "tensorflow", "onnx", "litert_torch", "ai_edge_quantizer"):
    sys.modules[name] = None
from edge_fer.cli import main
main()
"""


def test_a_device_measures_probes_without_any_converter(copied_probes):
    out = copied_probes / "table.json"
    line = ["bench", "--ops", "--probes", str(copied_probes), "--out", str(out)]
    line += ["--rounds", "2", "--inferences", "1", "--quiet"]
    command = [sys.executable, "-c", _NO_CONVERTERS, *line]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "networks predicted" in done.stdout
    table = json.loads(out.read_text())
    assert table["schema"] == "edge-fer/op-table/1"
    assert table["machine"]["cores"]
    assert all(network["measured_ms"]["int8"] > 0 for network in table["networks"])
    assert read_table(out).space == SPACE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--probes", "."], "go with --ops"),
        (["--ops", "--space", "5x7x36@48", "--suite", "zoo"], "go with --ops"),
        (["--ops", "--space", "5x7"], "5x7x36@48"),
        (["--ops", "--probes", "."], "--space"),
    ],
)
def test_bad_use(arguments, message, monkeypatch, capsys, tmp_path):
    from edge_fer.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["edge-fer", "bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_probe_that_is_missing_is_named(tmp_path):
    (tmp_path / "probes.json").write_text(json.dumps(made_probes()))
    with pytest.raises(ModelError, match=r"nothing_4x16_s1\.fp32\.tflite"):
        measure_table(tmp_path, rounds=1, inferences=1, on_round=lambda _: None)
