"""Parts of the web page's server that need no socket."""

import asyncio
import threading

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")

from hypothesis import given
from hypothesis import strategies as st

from edge_fer.runtime.frame import Frame
from edge_fer.runtime.result import STAGES, Result
from edge_fer.runtime.serve import frames
from edge_fer.runtime.serve.access import (
    WRONG_TOKENS_AT_ONCE,
    WRONG_TOKENS_PER_S,
    Access,
    Attempts,
    is_this_machine,
)
from edge_fer.runtime.serve.frames import EndedError, Exchange, FullError, Pictures, Status, Viewers


def make_result(index=0, dropped=0):
    image = np.zeros((4, 6, 3), np.uint8)
    return Result(Frame(index, 0.0, image, 1.0, dropped=dropped), (), dict.fromkeys(STAGES, 1.0))


@given(st.lists(st.floats(0, 100), max_size=60))
def test_no_more_wrong_tokens_than_the_limit_are_looked_at(steps_s):
    now_s = [0.0]
    attempts = Attempts(lambda: now_s[0])
    looked_at = 0
    for step_s in steps_s:
        now_s[0] += step_s
        if attempts.any_left():
            attempts.spend()
            looked_at += 1
    assert looked_at <= WRONG_TOKENS_AT_ONCE + WRONG_TOKENS_PER_S * now_s[0] + 1e-6


def test_patience_comes_back():
    now_s = [0.0]
    access = Access("the-right-token", "c", Attempts(lambda: now_s[0]))
    assert [access.login("wrong") for _ in range(12)] == [401] * WRONG_TOKENS_AT_ONCE + [429] * 2
    assert access.login("the-right-token") == 429
    now_s[0] = 1 / WRONG_TOKENS_PER_S
    assert access.login("the-right-token") == 200


@given(st.text(max_size=40))
def test_any_text_may_stand_for_a_host_or_a_token(text):
    assert is_this_machine(text) in (True, False)
    assert Access("the-right-token", "c").login(text) == (200 if text == "the-right-token" else 401)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_only_loopback_addresses_are_this_machine(address, port):
    host = f"[{address}]" if address.version == 6 else str(address)
    assert is_this_machine(host) == is_this_machine(f"{host}:{port}") == address.is_loopback


@pytest.mark.parametrize("host", ["localhost.evil.example", "127.0.0.1.evil.example", "evil@[::1"])
def test_names_that_look_like_this_machine_are_not(host):
    assert not is_this_machine(host)


def test_whoever_waits_gets_results_of_another_thread_in_order():
    exchange = Exchange()
    seen = []

    async def read():
        number = 0
        while number < 1000:
            number, result = await exchange.after(number)
            seen.append(result.frame.index)

    def write():
        for index in range(1000):
            exchange.put(make_result(index))

    writer = threading.Thread(target=write)
    writer.start()
    asyncio.run(asyncio.wait_for(read(), 20))
    writer.join()
    assert seen == sorted(set(seen))
    assert seen[-1] == 999


def test_every_single_result_wakes_whoever_waits():
    """The writer goes on only when the reader has its result: a lost wake-up would hang."""
    exchange = Exchange()
    got = threading.Semaphore(0)

    async def read():
        number = 0
        while number < 500:
            number, _ = await exchange.after(number)
            got.release()

    def write():
        for index in range(500):
            exchange.put(make_result(index))
            assert got.acquire(timeout=10)

    writer = threading.Thread(target=write)
    writer.start()
    asyncio.run(asyncio.wait_for(read(), 20))
    writer.join()


def test_the_end_wakes_whoever_waits_and_stays():
    exchange = Exchange()

    async def wait():
        waiting = asyncio.create_task(exchange.after(0))
        await asyncio.sleep(0)
        threading.Thread(target=exchange.end).start()
        with pytest.raises(EndedError):
            await asyncio.wait_for(waiting, 10)
        with pytest.raises(EndedError):
            await exchange.after(0)

    asyncio.run(wait())
    exchange.put(make_result())


def test_results_go_on_when_the_server_is_gone():
    exchange = Exchange()

    async def leave():
        waiting = asyncio.create_task(exchange.after(0))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    exchange.put(make_result())
    assert exchange.latest[0] == 1


def test_pictures_come_at_a_bounded_rate(monkeypatch):
    monkeypatch.setattr(frames, "PICTURES_PER_S", 50)
    exchange = Exchange()

    async def watch():
        pictures, number, count = Pictures(exchange), 0, 0
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + 0.5
        while loop.time() < ends_at_s:
            exchange.put(make_result())
            number = (await pictures.after(number)).number
            count += 1
        return count

    assert 2 <= asyncio.run(watch()) <= 26


def test_an_old_picture_is_not_shown_to_a_new_viewer(monkeypatch):
    monkeypatch.setattr(frames, "PICTURES_PER_S", 1e6)
    exchange = Exchange()

    async def watch():
        pictures = Pictures(exchange)
        exchange.put(make_result(1))
        await pictures.after(0)
        exchange.put(make_result(2))
        return (await pictures.after(0)).result.frame.index

    assert asyncio.run(watch()) == 2


def test_a_viewer_that_leaves_while_it_waits_does_not_block_the_next():
    exchange = Exchange()

    async def watch():
        pictures = Pictures(exchange)
        leaving = asyncio.create_task(pictures.after(0))
        staying = asyncio.create_task(pictures.after(0))
        await asyncio.sleep(0)
        leaving.cancel()
        exchange.put(make_result(5))
        return (await asyncio.wait_for(staying, 10)).result.frame.index

    assert asyncio.run(watch()) == 5


def test_places_are_given_back_also_after_an_error():
    viewers = Viewers(1)
    with pytest.raises(KeyError), viewers.place():
        raise KeyError
    with viewers.place(), pytest.raises(FullError, match="1 viewers watch"), viewers.place():
        pass
    assert viewers.count == 0


def test_the_status_is_read_once_a_second(monkeypatch):
    now_s, readings = [100.0], iter([{"fps": 1.0}, {"fps": 2.0}])
    monkeypatch.setattr(frames.time, "monotonic", lambda: now_s[0])
    status = Status(Viewers(1), lambda: next(readings), about={"model": "m"}, recording=True)
    first = status.read()
    assert first == {
        "health": {"fps": 1.0}, "viewers": 0, "recording": True, "about": {"model": "m"},
    }  # fmt: skip
    assert status.read() is first
    now_s[0] += frames.STATUS_EVERY_S
    assert status.read()["health"] == {"fps": 2.0}
