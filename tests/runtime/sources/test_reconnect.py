import logging
import os
import random
import signal
import threading
import time
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.errors import SourceError
from edge_fer.runtime.sources import latest
from edge_fer.runtime.sources.latest import MAX_BAD_FRAMES
from edge_fer.runtime.sources.reconnect import MAX_HUNG, LiveSource, Retry
from tests.runtime.cameras import FakeCamera, eventually, picture

QUICK = Retry(give_up_s=20, silent_s=5, open_s=5, first_s=0.01, longest_s=0.02)


class Shop:
    """Hands out cameras, or errors, one at each opening."""

    def __init__(self, *cameras):
        self.cameras, self.opened = list(cameras), 0

    def __call__(self):
        self.opened += 1
        item = self.cameras.pop(0) if self.cameras else SourceError("no such camera")
        if isinstance(item, Exception):
            raise item
        return item


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "edge-fer camera"])


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "edge_fer.sources")
    return lambda: [(r.levelname, r.getMessage()) for r in caplog.records]


def live(first, *later, retry=QUICK, **options):
    shop = Shop(*later)
    source = LiveSource(first, shop, "cam", retry=retry, **options)
    source.shop = shop
    return source


def test_frames_carry_their_place_time_and_age():
    camera = FakeCamera(picture(1), picture(2), picture(3))
    with live(camera) as source:
        eventually(lambda: camera.asked == 4)
        frames = iter(source)
        first = next(frames)
        camera.give(picture(4), picture(5))
        eventually(lambda: camera.asked == 6)
        second = next(frames)
    assert (first.index, first.dropped, first.t_s) == (0, 0, 0.0)
    assert first.image[0, 0, 0] == 3
    assert (second.index, second.dropped) == (2, 1)
    assert second.t_s > 0
    assert second.age_ms >= 0
    assert second.capture_ms < 1e3 * second.t_s + 1e3
    assert source.live
    assert not source.single
    assert source.fps == 25


def test_waiting_counts_as_capture_and_being_late_as_age():
    camera = FakeCamera(picture(1))
    with live(camera) as source:
        frames = iter(source)
        next(frames)
        timer = threading.Timer(0.1, camera.give, [picture(2)])
        timer.start()
        waited = next(frames)
        timer.join()
        camera.give(picture(3))
        eventually(lambda: camera.asked == 4)
        read = time.monotonic()
        eventually(lambda: time.monotonic() - read > 0.1)
        late = next(frames)
    assert waited.capture_ms > 90
    assert waited.age_ms < 90
    assert late.capture_ms < 90
    assert late.age_ms >= 100


def test_a_camera_that_is_unplugged_and_back_goes_on(lines):
    unplugged = FakeCamera(picture(1), picture(2), OSError("unplugged"))
    back = FakeCamera(picture(3), picture(4))
    missing = SourceError("no such camera")
    with live(unplugged, missing, missing, back, every_frame=True) as source:
        frames = list(islice(source, 4))
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2, 3, 4]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert all(a.t_s < b.t_s for a, b in pairwise(frames))
    assert unplugged.closed
    assert back.closed
    (lost, found) = lines()
    assert lost == ("WARNING", "cam: lost: unplugged; looking for it")
    assert found[0] == "INFO"
    assert found[1].startswith("cam: back after ")


def test_the_lost_camera_is_free_before_it_is_opened_again():
    first = FakeCamera(picture(1), OSError("unplugged"))
    second, seen = FakeCamera(picture(2)), []

    def again():
        seen.append(first.closed)
        return second

    with LiveSource(first, again, "cam", retry=QUICK) as source:
        list(islice(source, 2))
    assert seen == [True]


def test_a_camera_that_fails_before_its_first_frame_is_an_error_at_once(lines):
    with (
        live(FakeCamera(OSError("busy")), FakeCamera(picture(1))) as source,
        pytest.raises(SourceError, match="cam: busy"),
    ):
        next(iter(source))
    assert source.shop.opened == 0
    assert lines() == []


def test_a_camera_that_is_silent_from_the_start_is_an_error():
    with (
        live(FakeCamera(), retry=Retry(silent_s=0.05)) as source,
        pytest.raises(SourceError, match=r"cam: no frame for 0\.05 s"),
    ):
        next(iter(source))


def test_a_camera_that_blocks_is_lost_and_left_behind(monkeypatch, lines):
    monkeypatch.setattr(latest, "JOIN_S", 0.01)
    hangs, good = FakeCamera(picture(1), deaf=True), FakeCamera(picture(2))
    retry = Retry(silent_s=0.05, first_s=0.01)
    with live(hangs, good, retry=retry) as source:
        frames = list(islice(source, 2))
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2]
    assert "no frame for 0.05 s" in lines()[0][1]
    hangs.release()
    eventually(lambda: hangs.closed)


def test_reads_that_hang_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(latest, "JOIN_S", 0.001)
    hang = [FakeCamera(picture(1), deaf=True), *(FakeCamera(deaf=True) for _ in range(8))]
    retry = Retry(give_up_s=0.6, silent_s=0.02, open_s=0.02, first_s=0.01, longest_s=0.01)
    source = live(*hang, retry=retry)
    with source, pytest.raises(SourceError, match=f"{MAX_HUNG} reads of it hang"):
        list(source)
    assert source.shop.opened == MAX_HUNG - 1
    for camera in hang:
        camera.release()


def test_bad_frames_are_counted_and_too_many_are_a_loss(lines):
    camera = FakeCamera(picture(1), None, None, picture(2), *[None] * MAX_BAD_FRAMES)
    with live(camera, FakeCamera(None, picture(3)), every_frame=True) as source:
        frames = list(islice(source, 3))
    assert [frame.dropped for frame in frames] == [0, 2, 1]
    assert [frame.index for frame in frames] == [0, 3, 5]
    assert "10 reads in a row" in lines()[0][1]


def test_frames_that_change_their_size_pass_through():
    sizes = [(4, 6), (480, 640), (2, 2)]
    with live(FakeCamera(*(picture(1, s) for s in sizes)), every_frame=True) as source:
        assert [frame.image.shape[:2] for frame in islice(source, 3)] == sizes


def test_it_gives_up_with_one_line_and_is_never_busy():
    retry = Retry(give_up_s=0.5, first_s=0.05, longest_s=0.1)
    started, used = time.monotonic(), time.thread_time()
    source = live(FakeCamera(picture(1), OSError("unplugged")), retry=retry)
    with source, pytest.raises(SourceError) as caught:
        list(source)
    assert str(caught.value) == "cam: not back within 0.5 s, given up: no such camera"
    assert 0.5 <= time.monotonic() - started < 3
    assert time.thread_time() - used < 0.2
    assert 3 <= source.shop.opened <= 20


def test_without_a_limit_it_looks_until_it_is_closed():
    retry = Retry(give_up_s=0, first_s=0.001, longest_s=0.001)
    source = live(FakeCamera(picture(1), OSError("unplugged")), retry=retry)
    frames = iter(source)
    next(frames)
    rest = []
    reader = threading.Thread(target=lambda: rest.extend(frames))
    reader.start()
    eventually(lambda: source.shop.opened > 20)
    source.close()
    reader.join(5)
    assert not reader.is_alive()
    assert rest == []


def test_close_ends_a_long_wait_between_attempts(lines):
    retry = Retry(give_up_s=0, first_s=100, longest_s=100)
    source = live(FakeCamera(picture(1), OSError("unplugged")), retry=retry)
    frames = iter(source)
    next(frames)
    reader = threading.Thread(target=lambda: list(frames))
    reader.start()
    eventually(lambda: len(lines()) == 1)
    source.close()
    reader.join(5)
    assert not reader.is_alive()
    assert source.shop.opened == 0


def test_close_in_a_signal_handler_ends_a_silent_source():
    camera = FakeCamera(picture(1))
    source = live(camera)
    before = signal.signal(signal.SIGUSR1, lambda *_: source.close())
    timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1])
    try:
        timer.start()
        assert len(list(source)) == 1
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)


def test_the_end_of_what_a_camera_has_is_the_end_of_the_source(lines):
    with live(FakeCamera(picture(1), picture(2), EOFError()), every_frame=True) as source:
        assert len(list(source)) == 2
    assert lines() == []


def test_a_camera_that_comes_and_goes_is_left_more_and_more_time():
    flapping = [FakeCamera(picture(i), OSError("loose cable")) for i in range(8)]
    retry = Retry(give_up_s=20, first_s=0.01, longest_s=1.0)
    with live(*flapping, retry=retry, every_frame=True) as source:
        times = [frame.t_s for frame in islice(source, 6)]
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps[4] > 2 * gaps[0]
    assert gaps[4] >= 0.08


def test_a_jump_of_the_wall_clock_changes_nothing(monkeypatch):
    jumps = iter([1e9, -1e9] * 1000)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    camera = FakeCamera(*(picture(i) for i in range(10)))
    with live(camera, every_frame=True) as source:
        times = [frame.t_s for frame in islice(source, 10)]
    assert times == sorted(times)
    assert times[-1] < 5


@given(
    st.floats(0.01, 5),
    st.floats(0.01, 60),
    st.just(0) | st.floats(0.1, 1000),
    st.integers(0, 2**32),
)
def test_waits_grow_to_their_limit_and_are_spread(first_s, longest_s, give_up_s, seed):
    retry = Retry(first_s=first_s, longest_s=longest_s, give_up_s=give_up_s)
    limit = min(longest_s, give_up_s / 4) if give_up_s else longest_s
    waits = list(islice(retry.delays_s(random.Random(seed)), 30))
    whole = [min(first_s * 2**i, limit) for i in range(30)]
    assert all(w / 2 <= wait <= w for wait, w in zip(waits, whole, strict=True))


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_patience_that_is_no_number_of_seconds_is_refused(seconds):
    with pytest.raises(SourceError, match="retry for"):
        Retry(give_up_s=seconds)
