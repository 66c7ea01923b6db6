"""The web page in a real browser."""

import http.server
import itertools
import threading
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import sync_playwright

from edge_fer.labels import FER2013_LABELS
from edge_fer.runtime.frame import Frame
from edge_fer.runtime.result import STAGES, Face, Result
from edge_fer.runtime.serve import open_server
from edge_fer.runtime.service.health import Health
from tests.e2e.browser import CHROMIUM, FLAGS

TOKEN = "a-token-of-23-characters"
DEADLINE_MS = 20_000
FRAME_S = 1 / 30
FACE_BOX = (175.0, 60.0, 100.0, 130.0)
PICTURE_OF_CANVAS = "() => document.getElementById('view').toDataURL()"


class Feed:
    """A camera that shows the astronaut, moving, and her face; it outlives servers."""

    def __init__(self, photo: np.ndarray):
        self.photo, self.health, self.label = photo, Health(), "happy"
        self.page, self.with_face = None, True
        self._stop, self._frame_given = threading.Event(), threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def serve(self, port=0, **options):
        self.page = open_server(
            port=port, health=self.health.to_dict, about={"model": "arch-1"}, **options
        )
        return self.page

    def _run(self):
        for index in itertools.count():
            if self._stop.wait(FRAME_S):
                return
            result = self._result(index)
            self.health.frame(result)
            if self.page is not None:
                self.page.write(result)
            with self._frame_given:
                self._frame_given.notify_all()

    def wait_for_frames(self, count):
        with self._frame_given:
            for _ in range(count):
                assert self._frame_given.wait(DEADLINE_MS / 1e3)

    def _result(self, index):
        shift = 3 * (index % 40)
        p_K = np.array([0.7 if n == self.label else 0.05 for n in FER2013_LABELS], np.float32)
        x, y, w, h = FACE_BOX
        face = Face(0, (x + shift, y, w, h), p_K, FER2013_LABELS)
        faces = (face,) if self.with_face else ()
        frame = Frame(index, index * FRAME_S, np.roll(self.photo, shift, axis=1), 1.0)
        return Result(frame, faces, dict.fromkeys(STAGES, 0.5) | {"total": 3.0})

    def close(self):
        self._stop.set()
        self._thread.join()
        if self.page is not None:
            self.page.close()


@pytest.fixture
def feed(astronaut):
    feed = Feed(cv2.imread(str(astronaut)))
    yield feed
    feed.close()


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no browser: neither chromium nor google-chrome is installed")
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Watched:
    """A tab whose requests and complaints are kept."""

    def __init__(self, chromium, **options):
        self.context = chromium.new_context(**options)
        self.context.set_default_timeout(DEADLINE_MS)
        self.tab = self.context.new_page()
        self.complaints, self.hosts = [], set()
        self.tab.on("console", self._console)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.tab.on("websocket", lambda socket: self.hosts.add(urlsplit(socket.url).netloc))

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def wait_for(self, expression):
        self.tab.wait_for_function(expression)

    def wait_for_label(self, label):
        self.wait_for(f"() => document.querySelector('.face strong')?.textContent === '{label}'")

    def wait_for_state(self, state):
        self.tab.wait_for_selector(f"#connection[data-state={state}]")

    def wait_for_motion(self):
        """The picture changes twice."""
        for _ in range(2):
            before = self.tab.evaluate(PICTURE_OF_CANVAS)
            self.tab.wait_for_function(f"before => ({PICTURE_OF_CANVAS})() !== before", arg=before)


@pytest.fixture
def open_tab(chromium):
    opened = []

    def open_tab(**options):
        opened.append(Watched(chromium, **options))
        return opened[-1]

    yield open_tab
    for watched in opened:
        watched.context.close()


def test_shows_a_face_its_label_and_a_moving_picture(feed, open_tab):
    page, watched = feed.serve(), open_tab()
    watched.tab.goto(page.url)
    watched.wait_for_label("happy")
    watched.wait_for_motion()
    watched.wait_for_state("live")
    text = watched.tab.inner_text("body")
    for part in ("No frame is stored", "Face #0", "70 %", *FER2013_LABELS, "1 viewer", "arch-1"):
        assert part in text
    watched.wait_for("() => Number(document.getElementById('fps').value) > 5")
    watched.wait_for("() => document.querySelectorAll('#legend li').length === 6")
    feed.label = "sad"
    watched.wait_for_label("sad")
    watched.wait_for("() => document.getElementById('announcement').textContent.includes('sad')")
    assert watched.complaints == []
    assert watched.hosts == {urlsplit(page.url).netloc}


def test_the_box_is_drawn_where_the_face_is(feed, open_tab):
    """In a row through the face, the box's sides are as far apart as the face is wide."""
    watched = open_tab(viewport={"width": 1280, "height": 800})
    watched.tab.goto(feed.serve().url)
    watched.wait_for_label("happy")
    sides = """() => {
        const view = document.getElementById('view');
        const scale = Math.min(view.width, view.height) / 512;
        const row = Math.round((view.height - 512 * scale) / 2 + (60 + 65) * scale);
        const {data} = view.getContext('2d').getImageData(0, row, view.width, 1);
        const at = [];
        for (let i = 0; i < data.length; i += 4)
            if (data[i] === 0xf2 && data[i + 1] === 0xb7 && data[i + 2] === 0x05) at.push(i / 4);
        return (at.at(-1) - at[0]) / scale; }"""
    watched.wait_for(f"() => Math.abs(({sides})() - 100) < 6")
    feed.with_face = False
    watched.wait_for(f"() => Number.isNaN(({sides})())")


def test_says_when_nobody_is_there(feed, open_tab):
    feed.with_face = False
    watched = open_tab()
    watched.tab.goto(feed.serve().url)
    watched.tab.get_by_text("No face in view").first.wait_for()
    watched.wait_for_motion()
    assert not watched.tab.query_selector(".face")


def test_says_when_the_run_is_recorded(feed, open_tab):
    watched = open_tab()
    watched.tab.goto(feed.serve(recording=True).url)
    watched.tab.get_by_text("This run is being recorded").wait_for()


def test_survives_a_reload_and_a_second_viewer(feed, open_tab):
    page = feed.serve()
    first, second = open_tab(), open_tab(viewport={"width": 390, "height": 844})
    first.tab.goto(page.url)
    first.wait_for_label("happy")
    second.tab.goto(page.url)
    second.wait_for_label("happy")
    for _ in range(3):
        first.tab.reload()
    first.wait_for_label("happy")
    first.wait_for_motion()
    second.wait_for_motion()
    first.tab.get_by_text("2 viewers").wait_for()
    assert second.tab.evaluate("document.documentElement.scrollWidth") == 390
    assert first.complaints + second.complaints == []


def test_comes_back_by_itself_after_a_restart(feed, open_tab):
    page, watched = feed.serve(), open_tab()
    watched.tab.goto(page.url)
    watched.wait_for_label("happy")
    port = urlsplit(page.url).port
    feed.page = None
    page.close()
    watched.wait_for_state("lost")
    assert "Trying again by itself" in watched.tab.inner_text("#stage")
    feed.label = "surprise"
    feed.serve(port)
    watched.wait_for_label("surprise")
    watched.wait_for_motion()
    watched.wait_for_state("live")


@pytest.mark.parametrize("typed", [False, True])
def test_comes_back_by_itself_after_a_restart_with_the_same_token(feed, open_tab, typed):
    page, watched = feed.serve(token=TOKEN), open_tab()
    watched.tab.goto(page.url.partition("#")[0] if typed else page.url)
    if typed:
        watched.tab.get_by_label("Token").fill(TOKEN)
        watched.tab.get_by_role("button", name="Open").click()
    watched.wait_for_label("happy")
    feed.page = None
    page.close()
    watched.wait_for_state("lost")
    feed.label = "surprise"
    feed.serve(urlsplit(page.url).port, token=TOKEN)
    watched.wait_for_label("surprise")


def test_comes_back_by_itself_when_the_device_falls_silent(feed, open_tab):
    """Nothing arrives and no connection is closed, as when a cable is pulled."""
    page, watched = feed.serve(), open_tab()
    watched.tab.goto(page.url)
    watched.wait_for_label("happy")
    watched.tab.evaluate(
        "window.realSend = WebSocket.prototype.send; WebSocket.prototype.send = () => {};null"
    )
    watched.wait_for_state("lost")
    feed.label = "surprise"
    watched.tab.evaluate("WebSocket.prototype.send = window.realSend; null")
    watched.wait_for_label("surprise")


def test_the_token_opens_the_page_and_leaves_the_address(feed, open_tab):
    page, watched = feed.serve(token=TOKEN), open_tab()
    assert page.url.endswith(f"#token={TOKEN}")
    watched.tab.goto(page.url)
    watched.wait_for_label("happy")
    assert TOKEN not in watched.tab.url
    assert TOKEN not in watched.tab.evaluate("document.cookie")
    (cookie,) = watched.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    watched.tab.reload()
    watched.wait_for_label("happy")
    assert watched.complaints == []


def test_a_wrong_token_is_refused_and_the_right_one_can_be_typed(feed, open_tab):
    page, watched = feed.serve(token=TOKEN), open_tab()
    address = page.url.partition("#")[0]
    watched.tab.goto(f"{address}#token=this-is-not-the-token")
    watched.tab.get_by_label("Token").wait_for()
    assert not watched.tab.is_visible("#live")
    watched.tab.get_by_label("Token").fill("neither-is-this-one")
    watched.tab.get_by_role("button", name="Open").click()
    watched.tab.get_by_text("That is not the token").wait_for()
    assert watched.tab.evaluate("fetch('/api/latest').then(a => a.status)") == 401
    assert watched.tab.evaluate("fetch('/video').then(a => a.status)") == 401
    watched.tab.get_by_label("Token").fill(TOKEN)
    watched.tab.get_by_role("button", name="Open").click()
    watched.wait_for_label("happy")
    assert not watched.tab.is_visible("#locked")


def test_a_full_house_is_told(feed, open_tab, monkeypatch):
    monkeypatch.setattr("edge_fer.runtime.serve.server.MAX_VIEWERS", 1)
    page, first, second = feed.serve(), open_tab(), open_tab()
    first.tab.goto(page.url)
    first.wait_for_label("happy")
    second.tab.goto(page.url)
    second.wait_for_state("full")
    first.context.close()
    second.wait_for_label("happy")


def test_a_hidden_tab_asks_for_nothing(feed, open_tab):
    watched = open_tab()
    watched.tab.goto(feed.serve().url)
    watched.wait_for_label("happy")
    watched.wait_for_motion()
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    watched.tab.evaluate(hide % "true" + tell)
    watched.wait_for_state("paused")
    feed.wait_for_frames(10)
    shown = watched.tab.evaluate(PICTURE_OF_CANVAS)
    feed.wait_for_frames(30)
    assert feed.page._server.server_state.tasks == set()
    assert watched.tab.evaluate(PICTURE_OF_CANVAS) == shown
    watched.tab.evaluate(hide % "false" + tell)
    watched.wait_for_state("live")
    watched.wait_for_motion()


class EmptySite(http.server.BaseHTTPRequestHandler):
    """A page that forbids itself nothing."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another site</title>")

    def log_message(self, *_):
        pass


@pytest.fixture
def another_site():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptySite) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{site.server_port}/"
        site.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "attempt",
    [
        "fetch('{url}api/latest').then(() => done('read'), () => done('refused'))",
        "fetch('{url}health').then(() => done('read'), () => done('refused'))",
        "const a = new WebSocket('{url}live'.replace('http', 'ws')); a.onopen = () => done('read');"
        "a.onerror = () => done('refused')",
        "const a = new EventSource('{url}events'); a.onmessage = () => done('read');"
        "a.onerror = () => done('refused')",
        "const a = new Image(); a.onload = () => done('read'); a.onerror = () => done('refused');"
        "a.src = '{url}icon.svg'",
        "const a = new Image(); a.onload = () => done('read'); a.onerror = () => done('refused');"
        "a.src = '{url}video'",
    ],
)
def test_another_site_can_neither_read_nor_show_anything(feed, open_tab, another_site, attempt):
    page, watched = feed.serve(), open_tab()
    watched.tab.goto(another_site)
    script = f"new Promise(done => {{ {attempt.format(url=page.url)} }})"
    assert watched.tab.evaluate(script) == "refused"
