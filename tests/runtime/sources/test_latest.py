import subprocess
import sys
import threading
import time
from itertools import pairwise

import numpy as np
import pytest

from edge_fer.errors import SourceError
from edge_fer.runtime.sources import latest
from edge_fer.runtime.sources.latest import MAX_BAD_FRAMES, Latest
from tests.runtime.cameras import FakeCamera, eventually, picture


@pytest.fixture
def reading():
    """Makes ``Latest`` objects, and checks that their threads are gone when the test is over."""
    made = []

    def start(camera, **options):
        made.append((Latest(lambda: camera, **options), camera))
        return made[-1][0]

    yield start
    for one, camera in made:
        camera.release()
        one.close()
        assert not one.running
        assert camera.closed


def test_a_reader_gets_the_newest_picture_and_how_many_there_were(reading):
    pictures = [picture(value) for value in range(5)]
    camera = FakeCamera(*pictures)
    one = reading(camera)
    eventually(lambda: camera.asked == 6)
    shot = one.take(1)
    assert shot.image is pictures[4]
    assert shot.number == 5


def test_a_picture_is_given_once(reading):
    camera = FakeCamera(picture(1))
    one = reading(camera)
    assert one.take(1).number == 1
    with pytest.raises(SourceError, match=r"no frame for 0\.01 s"):
        one.take(0.01)
    camera.give(picture(2))
    assert one.take(1).number == 2


def test_a_wait_that_ends_early_because_the_wall_clock_jumped_goes_on(reading):
    camera = FakeCamera(picture(1))
    one = reading(camera)
    eventually(lambda: camera.asked == 2)
    lock = one._news

    class Jumpy:
        """Some releases of Python time the waits for a lock by the wall clock."""

        early = 3

        def acquire(self, blocking=True, timeout=-1):
            self.early -= blocking
            return self.early < 0 and lock.acquire(blocking, timeout)

        def __getattr__(self, name):
            return getattr(lock, name)

    one._news = Jumpy()
    assert one.take(5).number == 1


def test_every_frame_waits_for_the_reader(reading):
    camera = FakeCamera(*(picture(value) for value in range(20)))
    one = reading(camera, every_frame=True)
    eventually(lambda: camera.asked == 2)
    assert [one.take(1).image[0, 0, 0] for _ in range(20)] == list(range(20))


@pytest.mark.parametrize(("every_frame", "count"), [(True, 20_000), (False, 200)])
def test_nothing_is_lost_or_given_twice_at_full_speed(every_frame, count):
    one = Latest(Counting, every_frame=every_frame)
    try:
        shots = [one.take(5) for _ in range(count)]
    finally:
        one.close()
    numbers = [shot.number for shot in shots]
    assert all(b - a == 1 if every_frame else b > a for a, b in pairwise(numbers))
    assert all(shot.image[0] == shot.number for shot in shots)


class Counting:
    fps = 1000.0
    number = 0

    def read(self):
        self.number += 1
        return np.array([self.number])

    def interrupt(self):
        pass

    def close(self):
        pass


def test_when_it_was_read_is_not_when_it_was_taken(reading):
    camera = FakeCamera(picture(1))
    before = time.monotonic()
    one = reading(camera)
    eventually(lambda: camera.asked == 2)
    after = time.monotonic()
    assert before <= one.take(1).read_s <= after


@pytest.mark.parametrize("bad", [None, np.empty((0, 0, 3), np.uint8)], ids=["none", "empty"])
def test_bad_frames_are_left_out_but_counted(reading, bad):
    camera = FakeCamera(picture(1), *[bad] * (MAX_BAD_FRAMES - 1), picture(2))
    one = reading(camera, every_frame=True)
    assert [one.take(1).number, one.take(1).number] == [1, 1 + MAX_BAD_FRAMES]


def test_too_many_bad_frames_in_a_row_are_a_failure(reading):
    one = reading(FakeCamera(*[None] * MAX_BAD_FRAMES, picture(1)))
    with pytest.raises(SourceError, match="10 reads in a row gave no frame"):
        one.take(1)


def test_what_the_camera_raises_comes_after_its_last_picture(reading):
    camera = FakeCamera(picture(1), RuntimeError("cable"))
    one = reading(camera)
    eventually(lambda: camera.closed)
    assert one.take(1).number == 1
    with pytest.raises(RuntimeError, match="cable"):
        one.take(1)


def test_a_camera_that_does_not_open_is_an_error_for_the_reader():
    def fail():
        raise SourceError("no such camera")

    one = Latest(fail)
    with pytest.raises(SourceError, match="no such camera"):
        one.take(1)
    one.close()
    assert not one.running


def test_one_thread_reads_and_closes(reading):
    camera = FakeCamera(picture(1))
    one = reading(camera)
    one.take(1)
    one.close()
    assert len(camera.threads) == 1
    assert camera.threads != {threading.current_thread()}


def test_close_wakes_whoever_waits_for_a_picture(reading):
    one = reading(FakeCamera())
    results = []
    taker = threading.Thread(target=lambda: results.append(one.take(30)))
    taker.start()
    one.close()
    taker.join(5)
    assert results == [None]


def test_close_frees_a_thread_that_waits_for_its_reader(reading):
    camera = FakeCamera(picture(1), picture(2))
    one = reading(camera, every_frame=True)
    eventually(lambda: camera.asked == 2)
    one.close()
    assert not one.running
    assert one.take(1) is None


def test_close_while_the_camera_is_being_opened_frees_it_unread(reading, monkeypatch):
    monkeypatch.setattr(latest, "JOIN_S", 0.01)
    camera, may_open = FakeCamera(picture(1)), threading.Event()

    def open_slowly():
        may_open.wait()
        return camera

    one = Latest(open_slowly)
    one.close()
    may_open.set()
    eventually(lambda: not one.running)
    assert camera.closed
    assert camera.asked == 0


def test_close_does_not_wait_for_a_camera_that_hangs(monkeypatch):
    monkeypatch.setattr(latest, "JOIN_S", 0.05)
    camera = FakeCamera(deaf=True)
    one = Latest(lambda: camera)
    eventually(lambda: camera.asked == 1)
    started = time.monotonic()
    one.close()
    assert time.monotonic() - started < 1
    assert one.running
    assert not camera.closed
    camera.release()
    eventually(lambda: not one.running)
    assert camera.closed


HANGING = """
import threading
from edge_fer.runtime.sources import latest

class Hangs:
    fps = 1.0
    def read(self):
        reading.set()
        threading.Event().wait()
    def interrupt(self): pass
    def close(self): pass

latest.JOIN_S = 0.01
reading = threading.Event()
one = latest.Latest(Hangs)
reading.wait()
one.close()
"""


def test_a_camera_that_hangs_does_not_keep_the_process():
    subprocess.run([sys.executable, "-c", HANGING], timeout=20, check=True)
