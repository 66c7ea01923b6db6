import hashlib
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from edge_fer import fetch
from edge_fer.errors import MissingExtraError, ModelError, OutputError
from edge_fer.fetch import DOWNLOADS, cache_folder, cached_model, fetch_model, offline_help

GOOD = bytes(range(256)) * 900
FILE = "face_detection_yunet_2023mar.onnx"


class Answers(BaseHTTPRequestHandler):
    """``/good``, ``/truncated``, ``/wrong``, ``/cut``; anything else is not found."""

    def do_GET(self):
        self.server.asked.append(self.path)
        body = {"/good": GOOD, "/truncated": GOOD[:1000], "/wrong": b"version lfs", "/cut": GOOD}
        if self.path not in body:
            self.send_error(404)
            return
        content = body[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:5000] if self.path == "/cut" else content)

    def log_message(self, *_):
        pass


@contextmanager
def serving():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def environment(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def found_at(server, monkeypatch):
    """Makes yunet a made-up file at the given paths of the local server."""

    def place(*paths):
        urls = tuple(f"http://127.0.0.1:{server.server_port}/{path}" for path in paths)
        changes = {
            "urls": urls,
            "sha256": hashlib.sha256(GOOD).hexdigest(),
            "size_bytes": len(GOOD),
        }
        monkeypatch.setitem(DOWNLOADS, "yunet", replace(DOWNLOADS["yunet"], **changes))

    return place


def test_a_model_is_fetched_once(found_at, environment, server):
    found_at("good")
    assert cached_model("yunet", environment) is None
    path = fetch_model("yunet", environment=environment)
    assert path == cache_folder(environment) / FILE
    assert path.read_bytes() == GOOD
    assert path.stat().st_mode & 0o777 == 0o644
    assert fetch_model("yunet", environment=environment) == path
    assert cached_model("yunet", environment) == path
    assert server.asked == ["/good"]


def test_progress_is_told_up_to_the_end(found_at, environment):
    found_at("good")
    told = []
    fetch_model(
        "yunet", environment=environment, progress=lambda done, total: told.append((done, total))
    )
    assert told == sorted(told)
    assert len(told) > 2
    assert told[-1] == (len(GOOD), len(GOOD))


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("truncated", "does not match"),
        ("wrong", "does not match"),
        ("cut", "IncompleteRead"),
        ("none", "404"),
    ],
)
def test_what_is_not_the_model_is_refused_and_not_kept(found_at, environment, path, why):
    found_at(path)
    with pytest.raises(ModelError, match=why) as caught:
        fetch_model("yunet", environment=environment)
    assert "\n" not in str(caught.value)
    assert list(cache_folder(environment).iterdir()) == []


def test_another_place_is_tried(found_at, environment, server):
    found_at("wrong", "none", "good")
    assert fetch_model("yunet", environment=environment).read_bytes() == GOOD
    assert server.asked == ["/wrong", "/none", "/good"]


def test_without_a_network_the_message_says_what_to_do(environment, monkeypatch):
    with serving() as server:
        url = f"http://127.0.0.1:{server.server_port}/good"
    monkeypatch.setitem(DOWNLOADS, "yunet", replace(DOWNLOADS["yunet"], urls=(url,)))
    with pytest.raises(ModelError, match="Connection refused") as caught:
        fetch_model("yunet", environment=environment)
    for part in (url, DOWNLOADS["yunet"].sha256, str(cache_folder(environment) / FILE), "--file"):
        assert part in str(caught.value)
    assert offline_help("yunet", environment) in str(caught.value)


def test_a_file_that_was_brought_is_verified_and_taken(found_at, environment, tmp_path, server):
    found_at("good")
    brought = tmp_path / "brought.onnx"
    brought.write_bytes(GOOD)
    path = fetch_model("yunet", file=brought, environment=environment)
    assert path == cached_model("yunet", environment)
    assert path.read_bytes() == GOOD
    assert server.asked == []


@pytest.mark.parametrize("content", [None, b"", b"wrong"])
def test_a_file_that_is_not_the_model_is_refused(found_at, environment, tmp_path, server, content):
    found_at("good")
    brought = tmp_path / "brought.onnx"
    if content is not None:
        brought.write_bytes(content)
    with pytest.raises(ModelError, match=r"brought\.onnx"):
        fetch_model("yunet", file=brought, environment=environment)
    assert cached_model("yunet", environment) is None
    assert server.asked == []


def test_a_file_put_into_the_cache_by_hand_is_verified(found_at, environment, caplog, server):
    found_at("good")
    path = cache_folder(environment) / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"wrong")
    assert cached_model("yunet", environment) is None
    assert "not used" in caplog.text
    path.write_bytes(GOOD)
    assert cached_model("yunet", environment) == path
    assert fetch_model("yunet", environment=environment) == path
    assert server.asked == []


def test_a_broken_file_in_the_cache_is_fetched_again(found_at, environment):
    found_at("good")
    path = cache_folder(environment) / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(GOOD[:-1])
    assert fetch_model("yunet", environment=environment).read_bytes() == GOOD


def test_a_copy_goes_where_it_is_asked_for(found_at, environment, tmp_path):
    found_at("good")
    out = tmp_path / "below" / "yunet.onnx"
    assert fetch_model("yunet", out=out, environment=environment) == out
    assert out.read_bytes() == GOOD
    with pytest.raises(OutputError, match="--force"):
        fetch_model("yunet", out=out, environment=environment)
    out.write_bytes(b"old")
    fetch_model("yunet", out=out, force=True, environment=environment)
    assert out.read_bytes() == GOOD


def test_a_cache_that_cannot_be_written_is_one_clear_line(found_at, environment, tmp_path):
    found_at("good")
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(ModelError, match="could not be fetched"):
        fetch_model("yunet", environment=environment)


def test_an_unknown_model_is_refused(environment):
    with pytest.raises(ModelError, match="known: yunet"):
        fetch_model("mtcnn", environment=environment)


def test_without_pooch_the_extra_is_named(found_at, environment, monkeypatch):
    found_at("good")
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r"edge-fer\[fetch\]"):
        fetch_model("yunet", environment=environment)


@pytest.mark.parametrize("base", [None, "", "relative"])
def test_the_cache_is_the_users(base, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    environment = {} if base is None else {"XDG_CACHE_HOME": base}
    assert str(cache_folder(environment)) == "/home/somebody/.cache/edge-fer"


def test_looking_for_a_cached_model_imports_nothing_heavy():
    program = (
        "import sys; from edge_fer.fetch import cached_model; cached_model('yunet'); "
        "sys.exit('pooch' in sys.modules or 'requests' in sys.modules or 'cv2' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


def test_the_real_model_is_what_the_checksum_says(yunet_file, environment):
    assert yunet_file.stat().st_size == DOWNLOADS["yunet"].size_bytes
    path = fetch_model("yunet", file=yunet_file, environment=environment)
    assert path.read_bytes() == yunet_file.read_bytes()


def test_every_download_is_described():
    for name, download in fetch.DOWNLOADS.items():
        assert all(url.startswith("https://") for url in download.urls), name
        assert all(url.endswith(download.file) for url in download.urls), name
        assert len(bytes.fromhex(download.sha256)) == 32
        assert download.licence
        assert download.source.startswith("https://")
