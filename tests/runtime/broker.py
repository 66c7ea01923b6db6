"""A real mosquitto, and someone who listens to it."""

import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from shutil import which

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

DEADLINE_S = 20.0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def eventually(condition, what="condition"):
    """Polls until ``condition`` is true; fails after ``DEADLINE_S``."""
    until_s = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        if time.monotonic() > until_s:
            pytest.fail(f"not within {DEADLINE_S} s: {what}")
        time.sleep(0.01)
    return value


class Broker:
    """Starts and stops on one port; keeps nothing, as a broker whose machine was reset."""

    def __init__(self, folder: Path, lines=("allow_anonymous true",)):
        command = which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if command is None:
            pytest.skip("no mosquitto (apt-get install mosquitto)")
        self.port = free_port()
        config = folder / "mosquitto.conf"
        text = [f"listener {self.port} 127.0.0.1", *lines, "persistence false", "log_dest stderr"]
        text += ["user root"] if os.geteuid() == 0 else []
        config.write_text("\n".join(text) + "\n")
        self._command = [command, "-c", str(config)]
        self._log = folder / "mosquitto.log"
        self.process = None
        self.start()

    def start(self):
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        eventually(self._answers, f"mosquitto: {self._log.read_text()}")

    def _answers(self):
        assert self.process.poll() is None, self._log.read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self):
        self.process.kill()
        self.process.wait()


class Listener:
    """Subscribes to everything and keeps it."""

    def __init__(self, port, topic="#", tls=None, user=None):
        self.messages = []
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        if tls:
            self._client.tls_set(str(tls))
        if user:
            self._client.username_pw_set(*user)
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _, __, message: self.messages.append(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(DEADLINE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def texts(self, topic):
        return [m.payload.decode() for m in self.messages if m.topic == topic]

    def wait_for(self, topic, text):
        eventually(lambda: text in self.texts(topic)[-1:], f"{topic} {text}: {self.messages}")
