import json
import subprocess
import sys

import pytest

from edge_fer.doctor import diagnose as module
from edge_fer.doctor.device import Finding, run_patiently
from edge_fer.doctor.diagnose import CHECKS, diagnose, exit_code, rows
from edge_fer.doctor.try_engine import try_engine
from edge_fer.errors import ModelError
from edge_fer.resources import find_resource

EXPECTED = {
    "pi5": {"power": "unknown"},
    "zero": {
        "service": "fail",
        "governor": "warn",
        "clocks": "warn",
        "temperature": "warn",
        "throttling": "fail",
        "power": "unknown",
        "memory": "warn",
        "swap": "warn",
        "clock": "warn",
        "network time": "warn",
    },
    "jetson": {"service": "unknown", "clocks": "warn", "throttling": "unknown"},
    "pc": {
        "cameras": "warn",
        "camera access": "unknown",
        "service": "unknown",
        "power": "unknown",
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_device_gets_its_diagnosis(board, name):
    document = diagnose(device=board(name))
    found = {one["name"]: one["status"] for one in document["checks"] if one["status"] != "ok"}
    assert found == EXPECTED[name]
    assert exit_code(document) == int("fail" in found.values())


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_wrong_comes_with_what_to_run_and_the_document_is_plain(board, name):
    document = diagnose(device=board(name))
    assert document["schema"] == "edge-fer/doctor/1"
    assert json.loads(json.dumps(document)) == document
    assert [len(row) for row in rows(document)] == [4] * len(CHECKS)
    for one in document["checks"]:
        assert one["advice"] or one["status"] in ("ok", "unknown")
        assert "\n" not in one["found"] + one["advice"]


def test_it_tells_what_the_device_is(board):
    assert diagnose(device=board("zero"))["device"] == {
        "target": "raspberry-pi-zero-2w",
        "model": "Raspberry Pi Zero 2 W Rev 1.0",
        "system": "Debian GNU/Linux 12 (bookworm)",
        "architecture": "aarch64",
        "python": "3.11.2",
    }


def test_names_are_unique_and_progress_tells_each(board):
    told = []
    document = diagnose(device=board("pi5"), progress=told.append)
    names = [one["name"] for one in document["checks"]]
    assert told == names
    assert len(set(names)) == len(names)


def test_a_check_that_breaks_does_not_hide_the_others(board, monkeypatch):
    def broken(_):
        raise ValueError("odd machine")

    monkeypatch.setattr(module, "CHECKS", (broken, *CHECKS))
    document = diagnose(device=board("pi5"))
    assert document["checks"][0]["status"] == "unknown"
    assert "odd machine" in document["checks"][0]["found"]
    assert len(document["checks"]) == len(CHECKS) + 1


def test_a_warning_without_advice_is_a_mistake():
    with pytest.raises(AssertionError, match="advice"):
        Finding("x", "warn", "bad")


def test_an_empty_tree_is_survived(tmp_path):
    document = diagnose(tmp_path, lambda _: None)
    assert len(document["checks"]) == len(CHECKS)
    assert not [one for one in document["checks"] if "itself failed" in one["found"]]


def test_this_machine():
    document = diagnose()
    status = {one["name"]: one["status"] for one in document["checks"]}
    assert (status["engines"], status["opencv"], status["bundle"]) == ("ok", "ok", "ok")


def test_an_engine_is_tried_for_real():
    bundle = find_resource("bundle", "small")
    try_engine("litert", bundle)
    command = [sys.executable, "-m", "edge_fer.doctor.try_engine", "litert", str(bundle)]
    assert run_patiently(command) == "loads\n"
    assert run_patiently([*command[:-1], "/nowhere"]) is None
    assert run_patiently(["no-such-command"]) is None


def test_a_bundle_without_a_file_for_the_engine_says_so(monkeypatch):
    monkeypatch.setitem(try_engine.__globals__["ENGINE_FORMATS"], "litert", "other")
    with pytest.raises(ModelError, match="no file for litert"):
        try_engine("litert", find_resource("bundle", "small"))


def test_the_doctor_needs_no_training_framework():
    code = (
        "import sys\n"
        "for name in ('torch', 'tensorflow', 'onnx'): sys.modules[name] = None\n"
        "import edge_fer.doctor.diagnose, edge_fer.doctor.try_engine, edge_fer.provision\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
