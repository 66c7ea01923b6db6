import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid

import pytest

from edge_fer.runtime.service.signals import STATUS_EVERY_S, SystemdNotifier, stop_on_signals


class Systemd:
    """The socket that systemd listens on."""

    def __init__(self, address):
        self.environment = {"NOTIFY_SOCKET": address}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)

    def told(self):
        messages = []
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(self._socket.recv(4096).decode())
        return messages

    def close(self):
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    path = str(tmp_path / "notify")
    systemd = Systemd(path if request.param == "path" else f"@edge-fer-{uuid.uuid4()}")
    yield systemd
    systemd.close()


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


def test_systemd_hears_of_start_frames_and_end(systemd):
    notifier = SystemdNotifier(systemd.environment)
    notifier.ready()
    notifier.frame(0, lambda: "25 fps,\n1 face")
    notifier.stopping()
    notifier.close()
    assert systemd.told() == ["READY=1", "STATUS=25 fps, 1 face", "STOPPING=1"]


def test_the_watchdog_is_fed_only_while_frames_advance(systemd):
    clock = Clock()
    notifier = SystemdNotifier({**systemd.environment, "WATCHDOG_USEC": "4000000"}, clock)
    for index in range(41):
        notifier.frame(index, lambda: "fine")
        clock.now_s += 0.125
    assert systemd.told() == ["WATCHDOG=1\nSTATUS=fine"] * 6
    for _ in range(1000):
        notifier.frame(40, lambda: "stuck")
        clock.now_s += 0.125
    assert systemd.told() == []
    notifier.frame(41, lambda: "again")
    assert systemd.told() == ["WATCHDOG=1\nSTATUS=again"]
    notifier.close()


@pytest.mark.parametrize("pid", [1, os.getpid()], ids=["another", "own"])
def test_a_watchdog_of_another_process_is_not_fed(systemd, pid):
    environment = {"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(pid)}
    notifier = SystemdNotifier({**systemd.environment, **environment})
    notifier.frame(0, lambda: "fine")
    assert ("WATCHDOG=1" in systemd.told()[0]) == (pid == os.getpid())
    notifier.close()


def test_without_a_watchdog_the_status_is_told_now_and_then(systemd):
    clock = Clock()
    notifier = SystemdNotifier(systemd.environment, clock)
    calls = []
    for index in range(1000):
        notifier.frame(index, lambda: calls.append(0) or f"{len(calls)}")
        clock.now_s += STATUS_EVERY_S / 500
    assert systemd.told() == ["STATUS=1", "STATUS=2"]
    assert len(calls) == 2
    notifier.close()


def test_without_systemd_nothing_happens():
    notifier = SystemdNotifier({})
    notifier.ready()
    notifier.frame(0, lambda: pytest.fail("nobody asked"))
    notifier.stopping()
    notifier.close()


def test_a_socket_that_is_not_there_is_a_warning_not_an_end(tmp_path, caplog):
    notifier = SystemdNotifier({"NOTIFY_SOCKET": str(tmp_path / "none")})
    notifier.ready()
    assert "NOTIFY_SOCKET" in caplog.text


def test_a_systemd_that_does_not_read_never_blocks_the_loop(systemd):
    clock = Clock()
    notifier = SystemdNotifier(systemd.environment, clock)
    for index in range(5000):
        clock.now_s += STATUS_EVERY_S
        notifier.frame(index, lambda: "x" * 1000)
    assert 0 < len(systemd.told()) < 5000
    notifier.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_clean_stop_and_the_handlers_come_back(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
    assert stop.requested
    assert signal.getsignal(number) is before


def test_what_must_not_be_cut_short_is_not():
    done = []
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as stop:
        with stop.deferred:
            with stop.deferred:
                os.kill(os.getpid(), signal.SIGTERM)
                done.append("row")
            done.append("flush")
        done.append("next frame")
    assert done == ["row", "flush"]


def test_an_error_inside_is_not_hidden_by_the_stop():
    with pytest.raises(OSError, match="disk"), stop_on_signals() as stop, stop.deferred:
        os.kill(os.getpid(), signal.SIGTERM)
        raise OSError("disk")


def test_a_stop_that_was_swallowed_comes_at_the_next_frame():
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as stop:
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        with stop.deferred:
            pass
        pytest.fail("went on")


def test_in_another_thread_signals_are_left_alone():
    seen = []

    def run():
        with stop_on_signals() as stop:
            seen.append((stop.requested, signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(False, before)]


LOOP = """
import sys, time
from edge_fer.runtime.service.signals import stop_on_signals

try:
    with stop_on_signals() as stop:
        print("running", flush=True)
        while True:
            time.sleep(0.01)
except KeyboardInterrupt:
    pass
print("closed", flush=True)
"""
STUBBORN = """
import signal
from edge_fer.runtime.service.signals import stop_on_signals

with stop_on_signals() as stop:
    try:
        print("running", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        print("closing", flush=True)
        signal.pause()
"""


def start(program):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout.readline() == "running\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_asked_to_stop_ends_well(number):
    with start(LOOP) as process:
        process.send_signal(number)
        assert process.stdout.read() == "closed\n"
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(number):
    with start(STUBBORN) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "closing\n"
        process.send_signal(number)
    assert process.returncode == -number
