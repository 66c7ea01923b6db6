import json
import subprocess
import sys
import threading

import pytest

from edge_fer.sweep import lock as locks
from edge_fer.sweep.lock import LOCK_FILE, LostLockError, held


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(locks, "POLL_S", 0.01)


def write_owner(folder, **changes):
    owner = {"token": "other", "host": "elsewhere", "pid": 1} | changes
    (folder / LOCK_FILE).write_text(json.dumps(owner))


def test_the_lock_is_there_while_the_body_runs(tmp_path):
    with held(tmp_path / "trial") as lock:
        owner = json.loads((tmp_path / "trial" / LOCK_FILE).read_text())
        assert owner["token"] == lock.token
        lock.confirm()
    assert not list((tmp_path / "trial").iterdir())


def test_a_second_worker_waits_for_the_first(tmp_path):
    said, order = [], []
    waiting = threading.Event()

    def second():
        with held(tmp_path, lambda line: (said.append(line), waiting.set())):
            order.append("second")

    with held(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert len(said) == 1
    assert "waiting for process" in said[0]


def test_the_lock_of_a_dead_process_is_taken_at_once(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    write_owner(tmp_path, host=locks._host(), pid=child.pid)
    with held(tmp_path) as lock:
        lock.confirm()


def test_a_process_that_its_parent_has_not_collected_is_dead_too():
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    with child:
        child.stdout.read()
        while locks._is_alive(child.pid):
            pass
    assert not locks._is_alive(child.pid)


def test_a_lock_that_nobody_touches_is_taken_over(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "STALE_S", 0.1)
    write_owner(tmp_path)
    with held(tmp_path) as lock:
        lock.confirm()


def test_a_lock_that_is_touched_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "STALE_S", 0.3)
    monkeypatch.setattr(locks, "BEAT_S", 0.02)
    monkeypatch.setattr(locks, "_is_alive", lambda pid: True)
    with held(tmp_path) as first:
        watch = locks._Watch(tmp_path / LOCK_FILE)
        first._over.wait(0.6)
        assert not watch.abandoned()


def test_whoever_was_taken_over_notices_and_leaves_the_new_lock_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT_S", 0.0)
    with pytest.raises(LostLockError), held(tmp_path) as lock:
        lock.check()
        write_owner(tmp_path)
        lock.check()
    assert json.loads((tmp_path / LOCK_FILE).read_text())["token"] == "other"


def test_a_lock_cut_short_by_a_crash_is_waited_for_and_then_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "STALE_S", 0.1)
    (tmp_path / LOCK_FILE).write_text("")
    with held(tmp_path) as lock:
        lock.confirm()
