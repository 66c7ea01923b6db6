import json
import re

import pytest

from edge_fer.bench import bench as benching
from edge_fer.bench import session as sessions
from edge_fer.bench.bench import Request
from edge_fer.bench.page import write_report
from edge_fer.bench.papers import paper_tables
from edge_fer.bench.session import Listener, Session, result_path, run_session
from edge_fer.bench.stages import StageRequest
from edge_fer.bench.suite import Suite, read_suite
from edge_fer.bench.sustained import sustain
from edge_fer.bench.tables import bench_tables
from edge_fer.errors import EdgeFerError
from edge_fer.resources import find_resource, resource_names
from edge_fer.telemetry import EMULATION_VARIABLE

QUICK = Request(threads=[1], rounds=2, inferences=2, engines=("litert",))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """No child processes, and minutes of three inferences."""
    start = dict.fromkeys(("rss_mb", "cold_start_ms", "load_ms", "first_inference_ms"), 1.0)
    monkeypatch.setattr(benching, "footprint", lambda *_: start)
    seconds = iter(range(0, 1_000_000, 20))
    clock = {"clock_ns": lambda: next(seconds) * 1_000_000_000}
    monkeypatch.setattr(sessions, "sustain", lambda *a, **k: sustain(*a, **k, **clock))


@pytest.fixture
def document(shipped_bundle, astronaut):
    session = Session(
        paths=[shipped_bundle],
        request=QUICK,
        ops=True,
        stages=StageRequest(source=str(astronaut), bundle=str(shipped_bundle), frames=1),
        sustained_min=2,
    )
    return run_session(session, Listener())


def test_one_document_holds_all_that_was_asked_for(document, tmp_path):
    assert json.loads(json.dumps(document)) == document
    assert {"rows", "ops", "stages", "sustained"} <= set(document)
    assert [minute["inferences"] for minute in document["sustained"]["minutes"]] == [3, 3]
    titles = " / ".join(table.title for table in bench_tables(document))
    assert "operators take" in titles
    assert "stages are" in titles
    assert "minute 2" in titles
    for table in bench_tables(document):
        assert {len(row) for row in table.rows} == {len(table.heads)}


def test_an_emulated_machine_gives_no_fps(monkeypatch, shipped_bundle, astronaut, tmp_path):
    monkeypatch.setenv(EMULATION_VARIABLE, "1")
    stages = StageRequest(source=str(astronaut), bundle=str(shipped_bundle), frames=1)
    document = run_session(
        Session(paths=[shipped_bundle], request=QUICK, stages=stages), Listener()
    )
    assert document["machine"]["emulated"]
    assert {row["fps"] for row in document["rows"]} | {document["stages"]["fps"]} == {None}
    assert any("emulated" in line for line in document["warnings"])
    for table in bench_tables(document):
        if "fps" in table.heads:
            assert {row[table.heads.index("fps")] for row in table.rows} == {"-"}
    write_report(tmp_path / "page.html", document)


def test_the_page_needs_no_network_and_no_script(document, tmp_path):
    write_report(tmp_path / "page.html", document)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 5
    assert "<script" not in page
    outside = re.sub(r"http://www\.w3\.org/\S*", "", page)
    assert "http" not in outside
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_zoo_is_every_shipped_bundle_with_its_accuracy():
    suite = read_suite(find_resource("suite", "zoo"))
    document = run_session(Session(suite=suite, request=QUICK), Listener())
    assert {row["file"].split("/")[0] for row in document["rows"]} == set(resource_names("bundle"))
    accuracies = {row["file"].split("/")[0]: row["accuracy"] for row in document["rows"]}
    assert accuracies.pop("face-detector") is None
    assert all(0.5 < accuracy < 1 for accuracy in accuracies.values())
    (table, *_) = bench_tables(document)
    assert {"params M", "FLOPs M", "MB", "fps", "accuracy %"} <= set(table.heads)


@pytest.mark.slow
def test_the_papers_are_built_once_and_stand_beside_their_figures(tmp_path, monkeypatch):
    pytest.importorskip("litert_torch")
    monkeypatch.setenv("EDGE_FER_CACHE", str(tmp_path))
    suite = Suite(name="mine", description="one", kind="papers", models=("arch-1",))
    said = []
    for _ in range(2):
        document = run_session(Session(suite=suite, request=QUICK), Listener(announce=said.append))
    assert said == ["build, export and quantize arch-1"]
    assert document["skipped"] == []
    assert {row["precision"] for row in document["rows"]} == {"fp32", "int8"}
    assert {row["params"] for row in document["rows"]} == {293951}
    assert len(document["papers"]) == len(resource_names("published"))
    arch = next(paper for paper in document["papers"] if paper["paper"] == "arch")
    total = next(figure for figure in arch["figures"] if figure["row"] == "ARCH-1")
    assert total["ours"] == total["value"] == 293951
    table = next(table for table in bench_tables(document) if table.title == arch["title"])
    measured = {row[0]: row[-1] for row in table.rows}
    assert re.fullmatch(r"fp32 \d+\.\d\d ms, int8 \d+\.\d\d ms", measured["ARCH-1"])
    assert measured["ARCH-2"] == "-"


def test_other_systems_figures_get_none_of_ours():
    papers = paper_tables(["part-ensemble", "emonas", "patt-lite"], 7)
    figures = [figure for paper in papers for figure in paper["figures"]]
    assert len(figures) > 100
    assert not [one for one in figures if "ours" in one and "model" not in one]
    counted = [one for one in figures if one.get("model") == "part-ensemble" and "ours" in one]
    assert {one["unit"] for one in counted} == {"M", "GFLOPs"}


def test_a_folder_gives_a_result_its_name(tmp_path):
    machine = {"cpu": "Raspberry Pi 5 Model B Rev 1.0", "cores": 4, "architecture": "aarch64"}
    path = result_path(tmp_path, {"machine": machine, "suite": {"name": "zoo"}})
    assert re.fullmatch(
        r"zoo_raspberry-pi-5-model-b-rev-1-0-4-cores_\d{4}-\d\d-\d\d\.json", path.name
    )
    assert result_path(tmp_path / "a.json", {}) == tmp_path / "a.json"


@pytest.mark.parametrize("name", resource_names("suite"))
def test_shipped_suites_are_read(name):
    suite = read_suite(find_resource("suite", name))
    assert suite.name == name
    assert suite.description


@pytest.mark.parametrize(
    "text",
    ["", "x", 'schema = "edge-fer/suite/1"', 'schema = "edge-fer/suite/1"\nkind = "papers"',
     'schema = "edge-fer/suite/1"\nkind = "x"\ndescription = "d"',
     'schema = "edge-fer/suite/1"\nkind = "papers"\ndescription = "d"'],
)  # fmt: skip
def test_other_files_are_no_suites(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(EdgeFerError, match=r"mine\.toml"):
        read_suite(tmp_path / "mine.toml")
