"""A cluster of two nodes on one machine, of which one dies in the middle of a trial."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

psutil = pytest.importorskip("psutil")
pytest.importorskip("ray", reason="pip install 'edge-fer[ray]'")

pytestmark = pytest.mark.slow
TRIALS, EPOCHS = 6, 8
SWEEP = """
schema = "edge-fer/sweep/1"
model = "arch-1"
data = "fer2013:{data}"
precision = "float32"
set = {{ epochs = {epochs}, batch_size = 16, warmup_epochs = 0 }}
[axes]
seed = [0, 1, 2, 3, 4, 5]
"""
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {seconds} s")


class Node:
    """One node's processes."""

    def __init__(self, *arguments, log):
        command = [Path(sys.executable).with_name("ray"), "start", "--block", "--num-cpus=1"]
        command += ["--object-store-memory=80000000", "--disable-usage-stats", *arguments]
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                command, env=ENVIRONMENT, stdout=stream, stderr=subprocess.STDOUT
            )
        self.log = log

    def tree(self):
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def is_up(self):
        assert self.process.poll() is None, self.log.read_text()
        return "runtime started" in self.log.read_text()

    def kill(self):
        tree = self.tree()
        for process in sorted(tree, key=lambda process: "raylet" not in _name(process)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(30)
        psutil.wait_procs(tree, 30)


def _name(process):
    with suppress(psutil.NoSuchProcess):
        return process.name()
    return ""


@pytest.fixture
def cluster(tmp_path):
    """Address of the head and the two nodes; ends only what it started."""
    port, scratch = free_port(), tempfile.mkdtemp(prefix="ray")
    address, nodes = f"127.0.0.1:{port}", []
    try:
        head = ["--head", f"--port={port}", "--node-ip-address=127.0.0.1"]
        head += [f"--temp-dir={scratch}", "--include-dashboard=false"]
        nodes.append(Node(*head, log=tmp_path / "head"))
        until(nodes[0].is_up, "the head")
        second = [f"--address={address}", "--node-ip-address=127.0.0.2"]
        nodes.append(Node(*second, log=tmp_path / "second"))
        until(nodes[1].is_up, "the second node")
        yield address, *nodes
    finally:
        for node in reversed(nodes):
            node.kill()
        shutil.rmtree(scratch, ignore_errors=True)


def start_sweep(tmp_path, data, *arguments):
    file = tmp_path / "made.toml"
    file.write_text(SWEEP.format(data=data, epochs=EPOCHS))
    command = [sys.executable, "-m", "edge_fer", "sweep", file, "--out", tmp_path / "out"]
    return subprocess.Popen(
        [*command, "--json", *arguments],
        env=ENVIRONMENT, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def trial_on(node, out):
    """Folder and first epoch of a trial that the node is at and has saved after that epoch."""
    pids = {process.pid for process in node.tree()}
    for lock in out.glob("trials/*/lock.json"):
        try:
            owner = json.loads(lock.read_text())["pid"]
            lines = (lock.parent / "metrics.jsonl").read_text().splitlines()
        except (OSError, ValueError):
            continue
        if owner in pids and len(lines) > 1:
            return lock.parent, lines[0]
    return None


def _require_running(driver):
    assert driver.poll() is None, driver.communicate()


def test_a_sweep_survives_the_death_of_a_node(cluster, tmp_path, tiny_fer2013):
    address, _, second = cluster
    out = tmp_path / "out"
    driver = start_sweep(tmp_path, tiny_fer2013, "--ray", address)
    with driver:
        try:
            folder, first_epoch = until(
                lambda: trial_on(second, out) or _require_running(driver), "a trial on it"
            )
            second.kill()
            assert not (folder / "result.json").exists()
            printed, errors = driver.communicate(timeout=240)
        finally:
            driver.kill()
    assert driver.returncode == 0, errors
    document = json.loads(printed)
    assert Counter(trial["status"] for trial in document["trials"]) == {"finished": TRIALS}
    assert sorted(trial["seed"] for trial in document["trials"]) == list(range(TRIALS))
    assert document["rows"][0]["figures"]["accuracy"]["n"] == TRIALS
    assert len(list(out.glob("trials/*/result.json"))) == TRIALS
    assert errors.count("accuracy") == TRIALS
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(EPOCHS))
    assert lines[0] == first_epoch, "the trial went on and did not start anew"
    assert not list(out.glob("trials/*/lock.json"))


def test_ctrl_c_lets_the_workers_save(cluster, tmp_path, tiny_fer2013):
    address, head, second = cluster
    out = tmp_path / "out"
    with start_sweep(tmp_path, tiny_fer2013, "--ray", address) as driver:
        until(lambda: trial_on(second, out) or trial_on(head, out), "a running trial")
        driver.send_signal(signal.SIGINT)
        _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 130, errors
    assert "stopped; go on with: edge-fer sweep" in errors
    assert not list(out.glob("trials/*/lock.json"))
    assert list(out.glob("trials/*/state.safetensors"))
    assert json.loads((out / "sweep.json").read_text())["rows"][0]["finished"] < TRIALS


def test_no_cluster_is_one_line(tmp_path, tiny_fer2013):
    with start_sweep(tmp_path, tiny_fer2013, "--ray", f"127.0.0.1:{free_port()}") as driver:
        _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 2, errors
    assert errors.splitlines()[-1].startswith("edge-fer: no Ray cluster at 127.0.0.1:")
