"""The web page's server, over real sockets."""

import asyncio
import errno
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from edge_fer.errors import EdgeFerError, MissingExtraError, OutputError
from edge_fer.labels import FER2013_LABELS
from edge_fer.runtime.frame import Frame
from edge_fer.runtime.result import STAGES, Face, Result
from edge_fer.runtime.serve import open_server, server
from edge_fer.runtime.serve.access import HEADERS, WRONG_TOKENS_AT_ONCE
from edge_fer.runtime.serve.app import FILES

TOKEN = "a-token-of-23-characters"
DEADLINE_S = 10.0


def healthy():
    return {"status": "ok", "fps": 30.0}


def make_result(index=0, *, label="happy", size=(64, 48), dropped=0, gray=False):
    shape = size[::-1] if gray else (*size[::-1], 3)
    image = np.full(shape, 40 + index % 200, np.uint8)
    p_K = np.array([0.7 if name == label else 0.05 for name in FER2013_LABELS], np.float32)
    face = Face(3, (10.0, 8.0, 20.0, 22.0), p_K, FER2013_LABELS)
    return Result(
        Frame(index, index / 30, image, 1.0, dropped=dropped), (face,), dict.fromkeys(STAGES, 1.0)
    )


@contextmanager
def serving(**options):
    with open_server(port=0, **({"health": healthy} | options)) as page:
        yield page


@pytest.fixture
def page():
    with serving() as page:
        yield page


@pytest.fixture
def guarded():
    with serving(token=TOKEN) as page:
        yield page


def port_of(page):
    return urlsplit(page.url).port


def ask(page, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=DEADLINE_S)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


@contextmanager
def reading(page, path):
    """A response whose body goes on."""
    connection = http.client.HTTPConnection("127.0.0.1", port_of(page), timeout=DEADLINE_S)
    try:
        connection.request("GET", path)
        yield connection.getresponse()
    finally:
        connection.close()


def talk(page, path, **options):
    return connect(f"ws://127.0.0.1:{port_of(page)}{path}", **options)


def wait_until(holds, what):
    deadline = time.monotonic() + DEADLINE_S
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < deadline, what
        pause.wait(0.01)


def viewers(page):
    with talk(page, "/live") as live:
        live.send("")
        return json.loads(live.recv(DEADLINE_S))["status"]["viewers"] - 1


# ---- addresses


@pytest.mark.parametrize("path", FILES)
def test_pages_come_with_their_type_and_forbid_everything_else(page, path):
    response, body = ask(page, path)
    assert response.status == 200
    assert response.getheader("content-type") == FILES[path][1]
    assert body
    for name, value in HEADERS.items():
        assert response.getheader(name) == value
    assert response.getheader("access-control-allow-origin") is None
    assert response.getheader("server") is None


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/page/index.html",
        "/page.css/../app.py",
        "/page.css%00.html",
        "/index.html",
        "/health/",
        "/.%0a",
        "/\\..\\..\\etc",
    ],
)
def test_nothing_else_is_there(page, path):
    response, body = ask(page, path)
    assert response.status == 404
    assert body == b"Not Found"
    assert response.getheader("location") is None


def test_the_latest_result_is_the_line_that_run_prints(page):
    assert ask(page, "/api/latest")[0].status == 503
    result = make_result(7, dropped=2)
    page.write(make_result(6))
    page.write(result)
    response, body = ask(page, "/api/latest")
    assert response.getheader("content-type") == "application/json"
    assert json.loads(body) == result.to_dict()


@pytest.mark.parametrize(("state", "status"), [("ok", 200), ("stale", 503), ("starting", 503)])
def test_health_is_what_the_run_says(state, status):
    document = {"status": state, "errors": {"camera lost": 2}}
    with serving(health=lambda: document) as page:
        response, body = ask(page, "/health")
    assert (response.status, json.loads(body)) == (status, document)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(page, method):
    for path in ("/", "/api/latest", "/video", "/health"):
        assert ask(page, path, method)[0].status == 405


# ---- streams


def test_events_are_json_lines(page):
    page.write(make_result(1))
    with reading(page, "/events") as response:
        assert response.getheader("content-type") == "text/event-stream"
        assert response.readline() == b"retry: 2000\n"
        response.readline()
        assert json.loads(response.readline().removeprefix(b"data: "))["frame"] == 1
        response.readline()
        page.write(make_result(2))
        assert json.loads(response.readline().removeprefix(b"data: "))["frame"] == 2


def test_rows_of_a_gray_frame_may_lie_apart_in_memory(page):
    whole = np.arange(48 * 100, dtype=np.uint8).reshape(48, 100)
    result = make_result()
    page.write(replace(result, frame=replace(result.frame, image=whole[:, :64])))
    with talk(page, "/live") as live:
        live.send("")
        live.recv(DEADLINE_S)
        jpeg = live.recv(DEADLINE_S)
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_UNCHANGED).shape == (48, 64)


@pytest.mark.parametrize("gray", [False, True])
def test_video_gives_pictures_of_the_frames_scaled_down(page, gray):
    page.write(make_result(100, size=(1280, 720), gray=gray))
    with reading(page, "/video") as response:
        assert response.getheader("content-type").startswith("multipart/x-mixed-replace")
        assert response.readline() == b"--frame\r\n"
        assert response.readline() == b"Content-Type: image/jpeg\r\n"
        length = int(response.readline().removeprefix(b"Content-Length: "))
        response.readline()
        picture = cv2.imdecode(np.frombuffer(response.read(length), np.uint8), cv2.IMREAD_UNCHANGED)
        assert response.readline() + response.readline() == b"\r\n--frame\r\n"
    assert picture.shape[:2] == (360, 640)
    assert abs(float(picture.mean()) - 140) < 2


def test_programs_get_every_line_over_a_websocket(page):
    with talk(page, "/ws") as socket_:
        for index in range(5):
            page.write(make_result(index))
            assert json.loads(socket_.recv(DEADLINE_S))["frame"] == index


def test_a_slow_reader_misses_frames_instead_of_delaying_them(page):
    with talk(page, "/ws") as socket_:
        page.write(make_result(0))
        assert json.loads(socket_.recv(DEADLINE_S))["frame"] == 0
        for index in range(1, 500):
            page.write(make_result(index))
        frames = [json.loads(socket_.recv(DEADLINE_S))["frame"]]
        while frames[-1] != 499:
            frames.append(json.loads(socket_.recv(DEADLINE_S))["frame"])
    assert len(frames) < 50


def test_the_page_gets_picture_result_and_status_when_it_asks():
    with serving(about={"model": "m"}) as page, talk(page, "/live") as live:
        page.write(make_result(4, dropped=3))
        live.send("")
        document = json.loads(live.recv(DEADLINE_S))
        jpeg = live.recv(DEADLINE_S)
        with pytest.raises(TimeoutError):
            live.recv(0.2)
        page.write(make_result(5))
        live.send("")
        assert json.loads(live.recv(DEADLINE_S))["result"]["frame"] == 5
    assert document["result"] == make_result(4, dropped=3).to_dict()
    assert document["size"] == [64, 48]
    expected = {"health": healthy(), "viewers": 1, "recording": False, "about": {"model": "m"}}
    assert document["status"] == expected
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_the_page_is_told_that_no_frame_comes(page):
    with talk(page, "/live") as live:
        live.send("")
        document = json.loads(live.recv(DEADLINE_S))
    assert "result" not in document
    assert document["status"]["health"] == healthy()


# ---- viewers


def test_further_viewers_are_told_that_the_house_is_full(page):
    with ExitStack() as stack:
        for _ in range(server.MAX_VIEWERS - 1):
            stack.enter_context(talk(page, "/ws"))
        with talk(page, "/ws"):
            wait_until(lambda: not _is_let_in(page), "nine are let in")
            response, body = ask(page, "/video")
            assert (response.status, b"8 viewers watch already" in body) == (503, True)
            with talk(page, "/live") as live, pytest.raises(ConnectionClosed) as closed:
                live.recv(DEADLINE_S)
            assert closed.value.rcvd.code == 1013
            assert "8 viewers" in closed.value.rcvd.reason
        wait_until(lambda: _is_let_in(page), "a place that was left is free again")


def _is_let_in(page):
    with reading(page, "/events") as response:
        return response.status == 200


def test_viewers_that_leave_leave_nothing_behind(page):
    page.write(make_result(0))
    assert viewers(page) == 0
    threads = threading.active_count()
    for index in range(1, 51):
        for path in ("/events", "/video"):
            with reading(page, path) as response:
                assert response.status == 200
                assert response.read(10)
        for path in ("/ws", "/live"):
            with talk(page, path) as socket_:
                socket_.send("")
                assert socket_.recv(DEADLINE_S)
        page.write(make_result(index))
    state = page._server.server_state
    wait_until(lambda: not state.tasks and not state.connections, "requests are still open")
    loop = page._exchange._loop
    wait_until(lambda: len(asyncio.all_tasks(loop)) == 1, "only the server's own task is left")
    wait_until(lambda: threading.active_count() <= threads, "threads are left")
    assert viewers(page) == 0


def test_a_picture_is_encoded_once_for_all_and_never_for_nobody(page, monkeypatch):
    from edge_fer.runtime.serve import frames

    encoded = []
    real = frames.encode

    def count(image):
        encoded.append((threading.current_thread().name, int(image.flat[0])))
        return real(image)

    monkeypatch.setattr(frames, "encode", count)
    for index in range(100):
        page.write(make_result(index))
    assert encoded == []
    with talk(page, "/live") as first, talk(page, "/live") as second:
        for index in (1, 2, 3):
            page.write(make_result(index))
            first.send("")
            second.send("")
            for live in (first, second):
                assert json.loads(live.recv(DEADLINE_S))["result"]["frame"] == index
                live.recv(DEADLINE_S)
    assert encoded == [("edge-fer-serve", 41), ("edge-fer-serve", 42), ("edge-fer-serve", 43)]


def test_the_loop_is_not_held_up(page):
    result = make_result()
    spent_s = []
    for _ in range(2000):
        started_s = time.thread_time()
        page.write(result)
        spent_s.append(time.thread_time() - started_s)
    assert sorted(spent_s)[1000] < 30e-6


def test_the_end_of_the_run_ends_all_streams(page, caplog):
    page.write(make_result())
    with ExitStack() as stack:
        response = stack.enter_context(reading(page, "/events"))
        socket_ = stack.enter_context(talk(page, "/ws"))
        stack.enter_context(talk(page, "/live"))
        stack.enter_context(reading(page, "/video")).readline()
        assert response.readline()
        socket_.recv(DEADLINE_S)
        started_s = time.monotonic()
        page.close()
        assert time.monotonic() - started_s < server.CLOSE_WITHIN_S
        response.read()
        with pytest.raises(ConnectionClosed):
            socket_.recv(DEADLINE_S)
    page.write(make_result())
    assert "edge-fer-serve" not in [thread.name for thread in threading.enumerate()]
    assert caplog.text == ""


def test_a_program_without_viewers_ends_with_its_loop():
    program = (
        "from edge_fer.runtime.serve import open_server\n"
        "open_server(port=0, health=dict)\n"
        "raise SystemExit(3)"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=30, capture_output=True)
    assert (done.returncode, done.stderr) == (3, b"")


def test_a_broken_answer_stops_neither_server_nor_loop(caplog):
    with serving(health=lambda: 1 / 0) as page:
        assert ask(page, "/health")[0].status == 500
        page.write(make_result())
        assert ask(page, "/api/latest")[0].status == 200


# ---- who may


def test_a_token_keeps_everything_but_the_page_itself(guarded):
    guarded.write(make_result())
    for path in ("/api/latest", "/events", "/video", "/nothing"):
        response, body = ask(guarded, path)
        assert response.status == 401
        assert b"token" in body
        assert TOKEN.encode() not in body
        assert response.getheader("x-content-type-options") == "nosniff"
    for path in ("/ws", "/live"):
        with pytest.raises(InvalidStatus) as refused:
            talk(guarded, path)
        assert refused.value.response.status_code == 401
    for path in FILES:
        assert ask(guarded, path)[0].status == 200
    assert json.loads(ask(guarded, "/session")[1]) == {"allowed": False}


def test_health_tells_strangers_only_whether_it_is_well():
    with serving(token=TOKEN, health=lambda: {"status": "stale", "faces": 2}) as page:
        response, body = ask(page, "/health")
        assert (response.status, json.loads(body)) == (503, {"status": "stale"})
        _, body = ask(page, "/health", Authorization=f"Bearer {TOKEN}")
        assert json.loads(body)["faces"] == 2


def test_the_right_token_gives_a_cookie_that_is_not_the_token(guarded):
    guarded.write(make_result())
    response, _ = ask(guarded, "/login", "POST", f"{TOKEN}\n")
    assert response.status == 204
    cookie, *flags = response.getheader("set-cookie").split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(flags)
    assert TOKEN not in cookie
    assert ask(guarded, "/api/latest", Cookie=cookie)[0].status == 200
    assert json.loads(ask(guarded, "/session", Cookie=cookie)[1]) == {"allowed": True}
    with talk(guarded, "/ws", additional_headers={"Cookie": cookie}) as socket_:
        assert json.loads(socket_.recv(DEADLINE_S))["frame"] == 0
    changed = cookie[:-1] + ("a" if cookie[-1] != "a" else "b")
    assert ask(guarded, "/api/latest", Cookie=changed)[0].status == 401


def test_programs_send_the_token_with_each_request(guarded):
    import base64

    guarded.write(make_result())
    basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    for value in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Basic {basic}"):
        assert ask(guarded, "/api/latest", Authorization=value)[0].status == 200
    for value in (f"Bearer {TOKEN}x", TOKEN, "Basic !", "Basic /w==", "Bearer", f"Digest {TOKEN}"):
        assert ask(guarded, "/api/latest", Authorization=value)[0].status == 401


def test_guessing_is_slowed_but_who_is_in_stays_in(guarded):
    guarded.write(make_result())
    cookie = ask(guarded, "/login", "POST", TOKEN)[0].getheader("set-cookie").partition(";")[0]
    statuses = [ask(guarded, "/login", "POST", f"guess-{n}")[0].status for n in range(8)]
    statuses += [
        ask(guarded, "/api/latest", Authorization=f"Bearer guess-{n}")[0].status for n in range(8)
    ]
    assert set(statuses[:WRONG_TOKENS_AT_ONCE]) == {401}
    assert statuses[-1] == 429
    assert ask(guarded, "/api/latest", Cookie=cookie)[0].status == 200


def test_an_endless_login_is_cut_off(guarded):
    assert ask(guarded, "/login", "POST", "x" * 100_000)[0].status == 413


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "192.168.0.9", "", "[", "a@b"])
def test_without_a_token_other_names_for_this_machine_are_refused(page, host):
    assert ask(page, "/", Host=host)[0].status == 421


@pytest.mark.parametrize("host", ["localhost", "LocalHost:9000", "127.0.0.1", "[::1]:8000"])
def test_names_of_this_machine_are_fine_also_through_a_tunnel(page, host):
    assert ask(page, "/", Host=host)[0].status == 200


def test_with_a_token_any_name_will_do(guarded):
    assert ask(guarded, "/", Host="robot.local:8000")[0].status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://["]
)
def test_other_sites_are_refused(page, origin):
    page.write(make_result())
    assert ask(page, "/api/latest", Origin=origin)[0].status == 403
    with pytest.raises(InvalidStatus) as refused:
        talk(page, "/live", additional_headers={"Origin": origin})
    assert refused.value.response.status_code == 403


def test_the_page_itself_may_connect(page):
    origin = f"http://127.0.0.1:{port_of(page)}"
    with talk(page, "/live", additional_headers={"Origin": origin}) as live:
        live.send("")
        assert live.recv(DEADLINE_S)


# ---- starting


def test_loopback_has_no_token_and_everything_else_gets_one():
    with open_server("localhost", 0, health=dict) as page:
        assert page.token is None
        assert "#" not in page.url
    with open_server("0.0.0.0", 0, health=dict) as page:
        assert len(page.token) >= 32
        assert page.url.endswith(f"/#token={page.token}")
        assert "0.0.0.0" not in page.url
    with open_server("0.0.0.0", 0, health=dict) as other:
        assert other.token != page.token


def test_a_restart_takes_the_same_port():
    with serving() as page:
        page.write(make_result())
        with reading(page, "/events") as response:
            response.readline()
            page.close()
            response.read()
        with open_server(port=port_of(page), health=healthy) as again:
            assert ask(again, "/health")[0].status == 200


def test_a_port_in_use_is_told_in_one_line(page):
    with pytest.raises(OutputError, match=rf"127\.0\.0\.1:{port_of(page)}: in use by another"):
        open_server(port=port_of(page), health=dict)


def test_a_port_of_the_system_is_told_in_one_line(monkeypatch):
    def refuse(self, address):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(OutputError, match=r"127\.0\.0\.1:80: only the system's administrator"):
        open_server(port=80, health=dict)


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("no-such-host.invalid", 8000, "no-such-host.invalid:8000: not an address"),
        ("192.0.2.1", 8000, "192.0.2.1:8000: not an address of this machine"),
        ("a" * 70 + ".example", 8000, "not an address"),
        ("127.0.0.1", 99999, "127.0.0.1:99999: ports are numbers up to 65535"),
        ("127.0.0.1", -1, "127.0.0.1:-1: ports"),
    ],
)
def test_bad_addresses_are_told_in_one_line(host, port, message):
    with pytest.raises(OutputError, match=message) as error:
        open_server(host, port, health=dict)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("token", ["", "short", "with spaces in it", "x" * 129, "a" * 12 + "\n"])
def test_weak_tokens_are_refused(token):
    with pytest.raises(OutputError, match="12 to 128 letters"):
        open_server(port=0, token=token, health=dict)


@pytest.mark.parametrize("module", ["starlette", "uvicorn", "websockets"])
def test_a_missing_package_names_the_extra(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"edge-fer\[serve\]"):
        open_server(port=0, health=dict)
    assert issubclass(MissingExtraError, EdgeFerError)


def test_nothing_is_imported_before_a_page_is_wanted():
    program = (
        "import sys, edge_fer.runtime.serve\n"
        "print(sorted({'starlette', 'uvicorn', 'websockets', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_token_is_in_no_log(caplog):
    with caplog.at_level("DEBUG"), serving(token=TOKEN) as page:
        ask(page, "/login", "POST", TOKEN)
        ask(page, "/api/latest", Authorization=f"Bearer {TOKEN}")
    assert caplog.text
    assert TOKEN not in caplog.text
