import json
import subprocess
import sys

import pytest


def audit(*arguments):
    command = [sys.executable, "-m", "edge_fer.cli", "audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_what_is_printed_ends_in_the_verdicts(shipped_bundle, format_):
    done = audit(shipped_bundle / f"model.int8.{format_}", "--strict")
    assert done.returncode == 0, done.stderr
    assert "100.0% in integers" in done.stdout
    assert done.stdout.strip().endswith("no errors")


def test_a_file_cut_short_is_one_line(shipped_bundle, tmp_path):
    short = tmp_path / "short.tflite"
    short.write_bytes((shipped_bundle / "model.int8.tflite").read_bytes()[:1000])
    done = audit(short)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-fer: ")
    assert "short.tflite" in line


def test_a_document_for_machines(shipped_bundle):
    done = audit(shipped_bundle, "--json")
    document = json.loads(done.stdout)
    assert document["schema"] == "edge-fer/audit/1"
    assert [file["file"] for file in document["files"]] == [
        "small/model.int8.tflite",
        "small/model.int8.onnx",
    ]


def test_a_float_model_that_is_called_int8_fails_the_gate(bundle_dir, tmp_path):
    content = (bundle_dir / "model.fp32.tflite").read_bytes()
    for name, code in (("model.fp32.tflite", 0), ("model.int8.tflite", 1)):
        (tmp_path / name).write_bytes(content)
        done = audit(tmp_path / name, "--strict")
        assert done.returncode == code, done.stdout
