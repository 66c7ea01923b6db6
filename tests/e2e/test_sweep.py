"""``edge-fer sweep`` as users meet it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli

SWEEP = """
schema = "edge-fer/sweep/1"
model = "arch-1"
data = "fer2013:fer2013.csv"
precision = "float32"
set = { epochs = 4, batch_size = 16 }
[axes]
"set.mix" = [0.0, 0.5]
seed = [0, 1]
"""


@pytest.fixture
def sweep_file(tmp_path: Path, tiny_fer2013: Path) -> Path:
    assert tiny_fer2013.parent == tmp_path
    file = tmp_path / "mix.toml"
    file.write_text(SWEEP)
    return file


@pytest.mark.slow
def test_ctrl_c_stops_and_resume_goes_on(cli: Cli, tmp_path: Path, sweep_file: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "edge_fer", "sweep", "mix.toml", "--out", "out"]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as running:  # fmt: skip
        end = time.monotonic() + 200
        while len(list(out.glob("trials/*/metrics.jsonl"))) < 2:
            assert running.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=100)
    assert running.returncode == 130
    first, last = errors.splitlines()
    assert first.startswith("[1/4] mix-0.0_seed-0-")
    assert "left" in first
    assert last == "edge-fer: stopped; go on with: edge-fer sweep mix.toml --out out --resume"
    before = {file: file.read_bytes() for file in out.glob("trials/*/result.json")}
    assert len(before) == 1

    refused = cli("sweep", "mix.toml", "--out", "out")
    assert refused.returncode == 2
    assert "holds a sweep" in refused.stderr
    done = cli("sweep", "mix.toml", "--out", "out", "--resume", "--json", "--report", "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 3
    document = json.loads(done.stdout)
    assert [row["finished"] for row in document["rows"]] == [2, 2]
    assert all(file.read_bytes() == content for file, content in before.items())
    assert "95 % of mean" in (tmp_path / "page.html").read_text()

    table = cli("sweep", "mix.toml", "--out", "out", "--resume", "--quiet")
    assert table.stdout.splitlines()[0].strip() == "mix: fer2013 PublicTest"
    assert "set.mix=0.5  " in table.stdout
    assert not table.stderr


@pytest.mark.slow
def test_a_failed_trial_is_exit_code_1(cli: Cli, tmp_path: Path, sweep_file: Path) -> None:
    text = SWEEP.replace("seed = [0, 1]", "seed = [0]").replace("epochs = 4", "epochs = 1")
    sweep_file.write_text(text.replace("[0.0, 0.5]", "[0.0]") + '"set.learning_rate" = [0.1, 1e30]')
    done = cli("sweep", "mix.toml", "--out", "out", "--json")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "edge-fer: trials failed: 1; --resume tries them again"
    statuses = [trial["status"] for trial in json.loads(done.stdout)["trials"]]
    assert statuses == ["finished", "failed"]


def test_bad_files_are_one_line(cli: Cli, tmp_path: Path, sweep_file: Path) -> None:
    sweep_file.write_text(SWEEP.replace("arch-1", "arch-9"))
    done = cli("sweep", "mix.toml", "--out", "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("edge-fer: unknown model 'arch-9'")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
    done = cli("sweep", "no-such-sweep", "--out", "out")
    assert done.returncode == 2
    assert "arch-1_seeds" in done.stderr
