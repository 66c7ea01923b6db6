"""The camera loop as a robot has it: a stream in, a broker, a page and files out."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest

from tests.e2e.conftest import Cli
from tests.runtime.broker import Broker, Listener, eventually, free_port

BOUNDARY = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"


@contextmanager
def camera(photo: Path) -> Iterator[str]:
    """An MJPEG camera of the network that shows a photo until the test ends."""
    picture = cv2.resize(cv2.imread(str(photo)), (640, 480))
    jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            try:
                while not over.wait(0.03):
                    self.wfile.write(BOUNDARY + jpeg + b"\r\n")
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/live"
    finally:
        over.set()
        server.shutdown()
        server.server_close()


@contextmanager
def running(folder: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "edge_fer", "run", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


def test_a_robots_run_from_its_camera_to_its_outputs(
    astronaut: Path, tmp_path: Path, broker: Broker
) -> None:
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    arguments = ("--publish", f"mqtt://127.0.0.1:{broker.port}/robot", "--serve", port)
    files = ("--csv", "rows.csv", "--record", "seen.mkv", "--log-json", "--silent")
    with (
        camera(astronaut) as url,
        Listener(broker.port) as listener,
        running(tmp_path, url, *arguments, *files) as process,
    ):
        assert process.stderr is not None
        assert f"web page: {page}/\n" in iter(process.stderr.readline, "")
        eventually(lambda: listener.texts("robot/faces"), "a face over MQTT")
        (face,) = json.loads(listener.texts("robot/faces")[-1])["faces"]
        with urllib.request.urlopen(f"{page}/api/latest", timeout=10) as answer:
            assert json.load(answer)["faces"][0]["id"] == face["id"]
        with urllib.request.urlopen(f"{page}/health", timeout=10) as answer:
            health = json.load(answer)
        assert (answer.status, health["status"]) == (200, "ok")
        assert health["publishers"][0]["connected"]
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "")
        assert "a face in" in err.splitlines()[-1]
        listener.wait_for("robot/state", "offline")
    rows = (tmp_path / "rows.csv").read_text().splitlines()
    recording = cv2.VideoCapture(str(tmp_path / "seen.mkv"))
    assert recording.get(cv2.CAP_PROP_FRAME_COUNT) == len(rows) - 1 > 0
    recording.release()


def test_steadiness_is_told_at_the_end(cli: Cli, demo_gif: Path) -> None:
    done = cli("run", demo_gif, "--silent", "--stats", "--json", "--detector", "haar")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1), done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "edge-fer/steadiness/1"
    assert document["raw"]["flips"] >= document["shown"]["flips"]
    table = cli("run", demo_gif, "--silent", "--stats", "--detector", "haar")
    assert "flips/min raw" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--roi", "1,2,3"), "four numbers"),
        (("--size", "big"), "WIDTHxHEIGHT"),
        (("--serve", "page"), "give a port"),
        (("--publish", "carrier-pigeon://x"), "mqtt://"),
        (("--faces", "both"), "all, largest"),
        (("--csv", "/proc/rows.csv"), "cannot be written"),
    ],
)
def test_bad_use_is_one_line(
    cli: Cli, astronaut: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = cli("run", astronaut, "--detector", "haar", *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert words in line


def test_a_model_that_is_already_there_needs_no_network(
    cli: Cli, yunet_file: Path, tmp_path: Path
) -> None:
    done = cli("fetch", "yunet", "--file", yunet_file)
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "cache" / "edge-fer" / "face_detection_yunet_2023mar.onnx"
    assert Path(done.stdout.strip()) == kept
    assert cli("fetch", "yunet").stdout == done.stdout
    assert cli("fetch", "haar").returncode == 2
