import gc
import json
import mmap
import threading
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer import __version__
from edge_fer.runtime.service.health import MAX_ERROR_KINDS, Health, rss_mb
from tests.runtime.results import result


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Listening:
    def status(self):
        return {"url": "mqtt://host/a", "connected": True}


@pytest.fixture
def clock():
    return Clock()


def test_before_the_first_frame_it_is_starting(clock, tmp_path):
    document = Health(clock=clock, root=tmp_path).to_dict()
    assert document == {
        "schema": "edge-fer/health/1",
        "version": __version__,
        "status": "starting",
        "uptime_s": 0.0,
        "frames": 0,
        "fps": 0.0,
        "last_frame_age_s": None,
        "dropped_frames": 0,
        "faces": 0,
        "errors": {},
        "rss_mb": None,
        "temperature_c": None,
        "publishers": [],
    }


def test_it_counts_what_happens(clock):
    health = Health([Listening()], clock=clock)
    health.frame(result(0, dropped=3))
    health.frame(result(1, faces=2, dropped=1))
    health.error("camera lost")
    health.error("camera lost")
    clock.now_s += 1.25
    document = json.loads(json.dumps(health.to_dict()))
    assert (document["status"], document["frames"], document["faces"]) == ("ok", 2, 2)
    assert (document["dropped_frames"], document["errors"]) == (4, {"camera lost": 2})
    assert (document["uptime_s"], document["last_frame_age_s"]) == (1.25, 1.25)
    assert document["publishers"] == [{"url": "mqtt://host/a", "connected": True}]


def test_without_frames_for_long_it_is_stale_until_one_comes(clock):
    health = Health(clock=clock, stale_after_s=5)
    for wait_s, status in ((5.0, "ok"), (5.1, "stale"), (3600.0, "stale")):
        health.frame(result())
        clock.now_s += wait_s
        assert health.to_dict()["status"] == status
    health.frame(result())
    assert health.to_dict()["status"] == "ok"


@pytest.mark.parametrize("fps", [0.5, 5, 25, 500])
@pytest.mark.parametrize("seconds", [2, 9, 10, 11, 60])
def test_frames_per_second_of_a_steady_camera(clock, fps, seconds):
    health = Health(clock=clock)
    for _ in range(int(fps * seconds)):
        health.frame(result())
        clock.now_s += 1 / fps
    assert health.to_dict()["fps"] == pytest.approx(fps, rel=0.12, abs=0.06)


def test_frames_per_second_are_those_of_the_last_ten_seconds(clock):
    health = Health(clock=clock)
    for _ in range(100):
        health.frame(result())
    clock.now_s += 5
    assert health.to_dict()["fps"] == pytest.approx(100 / 5)
    clock.now_s += 6
    assert health.to_dict()["fps"] == 0


@given(st.lists(st.floats(0, 20), max_size=50))
def test_frames_per_second_are_bounded_by_what_came(pauses_s):
    clock = Clock()
    health = Health(clock=clock)
    for pause_s in pauses_s:
        health.frame(result())
        clock.now_s += pause_s
    assert 0 <= health.to_dict()["fps"] <= len(pauses_s)


def test_errors_of_ever_new_kinds_do_not_pile_up(clock):
    health = Health(clock=clock)
    for index in range(1000):
        health.error(f"kind {index}")
    errors = health.to_dict()["errors"]
    assert len(errors) == MAX_ERROR_KINDS + 1
    assert errors["other"] == 1000 - MAX_ERROR_KINDS


def test_a_million_seconds_take_no_memory(clock):
    health, made = Health(clock=clock), result()
    for _ in range(100):
        health.frame(made)
        clock.now_s += 1
    tracemalloc.start()
    for _ in range(20_000):
        health.frame(made)
        clock.now_s += 50
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 20_000


def test_it_may_be_asked_while_frames_come():
    health, made = Health(), result()
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            health.to_dict()

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for _ in range(3000):
        health.frame(made)
    stop.set()
    for asker in askers:
        asker.join()
    assert health.to_dict()["frames"] == 3000


def test_the_memory_is_that_of_this_process(tmp_path):
    before = rss_mb()
    with mmap.mmap(-1, 50_000_000) as block:  # what malloc has may have been there before
        for first in range(0, len(block), mmap.PAGESIZE):
            block[first] = 1
        assert rss_mb() - before == pytest.approx(50, abs=5)
    for content in ("", "1", "a b c"):
        (tmp_path / "proc/self").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc/self/statm").write_text(content)
        assert rss_mb(tmp_path) is None


def test_the_temperature_is_the_boards(tmp_path, clock):
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text("48312\n")
    assert Health(clock=clock, root=tmp_path).to_dict()["temperature_c"] == 48.312
