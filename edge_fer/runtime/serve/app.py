"""The server's addresses.

/               the page                    /live    what the page shows (WebSocket, on request)
/video          MJPEG                       /events  a JSON line per frame (Server-Sent Events)
/ws             the same (WebSocket)        /api/latest  the last one
/health         for systemd, Kubernetes     /login, /session  the token, for the page
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from edge_fer.runtime.outputs.lines import json_line
from edge_fer.runtime.serve.access import REFUSALS, Access, Guard
from edge_fer.runtime.serve.frames import EndedError, Exchange, FullError, Pictures, Status, Viewers

EVENTS_PER_S = 10
MESSAGES_PER_S = 30
KEEP_ALIVE_S = 5.0
LONGEST_LOGIN_BYTES = 256
#: What close codes of a WebSocket say.
GOING_AWAY, TRY_LATER = 1001, 1013

_HTML, _CSS = "text/html; charset=utf-8", "text/css; charset=utf-8"
FILES = {
    "/": ("index.html", _HTML),
    "/page.css": ("page.css", _CSS),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/drawing.js": ("drawing.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
PUBLIC = frozenset({*FILES, "/login", "/session", "/health"})


def build_app(
    exchange: Exchange,
    viewers: Viewers,
    status: Status,
    access: Access,
    health: Callable[[], Mapping[str, Any]],
) -> ASGIApp:
    """Puts the addresses together.

    Args:
        exchange: Where results come from.
        viewers: Places for those who stay connected.
        status: What the page shows beside the results.
        access: Who may use what.
        health: See ``open_server``.
    """
    pictures = Pictures(exchange)
    routes = [
        *(Route(path, _file(*file)) for path, file in FILES.items()),
        Route("/login", partial(_login, access), methods=["POST"]),
        Route("/session", partial(_session, access)),
        Route("/health", partial(_health, access, health)),
        Route("/api/latest", partial(_latest, exchange)),
        Route("/video", Stream("multipart/x-mixed-replace; boundary=frame", viewers,
                               partial(_video, pictures)), methods=["GET"]),
        Route("/events", Stream("text/event-stream", viewers, partial(_events, exchange)),
              methods=["GET"]),
        WebSocketRoute("/ws", Talk(viewers, partial(_push, exchange))),
        WebSocketRoute("/live", Talk(viewers, partial(_show, pictures, status))),
    ]  # fmt: skip
    return Guard(Router(routes, redirect_slashes=False), access, PUBLIC)


def _file(name: str, media_type: str) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    content = (Path(__file__).parent / "page" / name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return answer


async def _login(access: Access, request: Request) -> Response:
    """Takes a token as plain text and gives a cookie for it."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_LOGIN_BYTES:
            return PlainTextResponse("that is no token\n", 413)
    status = access.login(body.decode(errors="replace").strip())
    if status != 200:
        return PlainTextResponse(REFUSALS[status], status)
    return Response(status_code=204, headers={"set-cookie": access.set_cookie})


async def _session(access: Access, request: Request) -> Response:
    """Tells a page whether it is let in: a refusal would be an error in the browser's console."""
    return JSONResponse({"allowed": access.identity(request.headers) == 200})


async def _health(
    access: Access, health: Callable[[], Mapping[str, Any]], request: Request
) -> Response:
    """Says 200 or 503 to everyone, and why to those who may see more."""
    document = dict(health())
    status = 200 if document["status"] == "ok" else 503
    if access.identity(request.headers) != 200:
        document = {"status": document["status"]}
    return JSONResponse(document, status)


async def _latest(exchange: Exchange, _: Request) -> Response:
    result = exchange.latest[1]
    if result is None:
        return PlainTextResponse("no frame yet\n", 503, {"retry-after": "1"})
    return Response(json_line(result), media_type="application/json")


async def _video(pictures: Pictures) -> AsyncIterator[bytes]:
    """Gives MJPEG; each boundary comes with the picture before it, which is shown at once then."""
    number = 0
    yield b"--frame\r\n"
    while True:
        picture = await pictures.after(number)
        number = picture.number
        head = f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n\r\n"
        yield head.encode() + picture.jpeg + b"\r\n--frame\r\n"


async def _events(exchange: Exchange) -> AsyncIterator[bytes]:
    """Gives an event per frame, and a comment now and then while there is none."""
    number = 0
    yield b"retry: 2000\n\n"
    while True:
        try:
            number, result = await asyncio.wait_for(exchange.after(number), KEEP_ALIVE_S)
        except asyncio.TimeoutError:
            yield b": no new frame\n\n"
            continue
        yield f"data: {json_line(result)}\n\n".encode()
        await asyncio.sleep(1 / EVENTS_PER_S)


async def _push(exchange: Exchange, websocket: WebSocket, _: asyncio.Event) -> None:
    """Sends a JSON line per frame."""
    number = 0
    while True:
        number, result = await exchange.after(number)
        await websocket.send_text(json_line(result))
        await asyncio.sleep(1 / MESSAGES_PER_S)


async def _show(
    pictures: Pictures, status: Status, websocket: WebSocket, asked: asyncio.Event
) -> None:
    """Answers each message with a JSON document and, if it has a result, that frame's JPEG.

    A page asks when it has drawn the last answer: no picture waits in a buffer on the way, and
    boxes are those of the picture.
    """
    number, told = 0, None
    while True:
        await asked.wait()
        asked.clear()
        document: dict[str, Any] = {}
        jpeg = None
        try:
            picture = await asyncio.wait_for(pictures.after(number), 1.0)
        except asyncio.TimeoutError:
            pass
        else:
            number, jpeg = picture.number, picture.jpeg
            height, width = picture.result.frame.image.shape[:2]
            document = {"result": picture.result.to_dict(), "size": [width, height]}
        if status.read() is not told:
            document["status"] = told = status.read()
        await websocket.send_text(json.dumps(document, ensure_ascii=False))
        if jpeg is not None:
            await websocket.send_bytes(jpeg)


class Stream:
    """A response that goes on until the client leaves or the run ends.

    Args:
        content_type: Of the response.
        viewers: It takes one of these places.
        chunks: Gives the response's parts.
    """

    def __init__(
        self, content_type: str, viewers: Viewers, chunks: Callable[[], AsyncIterator[bytes]]
    ) -> None:
        self._content_type, self._viewers, self._chunks = content_type, viewers, chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            with self._viewers.place():
                await _until_left(_left(receive), self._send(send))
        except FullError as error:
            await PlainTextResponse(f"{error}\n", 503)(scope, receive, send)

    async def _send(self, send: Send) -> None:
        headers = [(b"content-type", self._content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            async for chunk in self._chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except EndedError:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class Talk:
    """A WebSocket that goes on until the client leaves or the run ends.

    Args:
        viewers: It takes one of these places.
        work: Talks; the event is set whenever a message came.
    """

    def __init__(
        self,
        viewers: Viewers,
        work: Callable[[WebSocket, asyncio.Event], Coroutine[Any, Any, None]],
    ) -> None:
        self._viewers, self._work = viewers, work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one client. Browsers hide why a handshake fails, so a full house opens first."""
        websocket = WebSocket(scope, receive, send)
        await websocket.accept()
        asked = asyncio.Event()
        try:
            with self._viewers.place():
                await _until_left(_left(websocket.receive, asked), self._work(websocket, asked))
        except FullError as error:
            await websocket.close(TRY_LATER, str(error))
        except EndedError:
            await websocket.close(GOING_AWAY, "the run has ended")
        except WebSocketDisconnect:
            pass


async def _left(receive: Receive, asked: asyncio.Event | None = None) -> None:
    """Reads what a client sends until it has left."""
    while not (await receive())["type"].endswith("disconnect"):
        if asked is not None:
            asked.set()


async def _until_left(left: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> None:
    """Works until that is done or the client has left, and leaves no task behind."""
    tasks = asyncio.create_task(left), asyncio.create_task(work)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        _, outcome = await asyncio.gather(*tasks, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome
