"""The web page as an output of the camera loop: a server in a thread of its own."""

import errno
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from edge_fer.errors import MissingExtraError, OutputError
from edge_fer.runtime.result import Result

LOG = logging.getLogger("edge_fer.serve")
MAX_VIEWERS = 8
MAX_CONNECTIONS = 64
CLOSE_WITHIN_S = 5.0
#: A client that acknowledges nothing for so long is gone.
SILENCE_S = 15
_REASONS = {
    errno.EADDRINUSE: "in use by another program; choose another port",
    errno.EACCES: "only the system's administrator may use it; choose a port from 1024 on",
    errno.EADDRNOTAVAIL: "not an address of this machine",
}
#: Of uvicorn: nothing is logged but its own errors, nobody who vanished keeps a place for long.
_SETTINGS: dict[str, Any] = {
    "loop": "asyncio",
    "http": "h11",
    "ws": "websockets-sansio",
    "lifespan": "off",
    "log_config": None,
    "log_level": "error",
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "limit_concurrency": MAX_CONNECTIONS,
    "timeout_graceful_shutdown": 1,
    "ws_max_size": 1024,
    "ws_per_message_deflate": False,
    "ws_ping_interval": SILENCE_S / 2,
    "ws_ping_timeout": SILENCE_S / 2,
}


class PageServer:
    """A sink that shows results in a web page; made by ``open_server``.

    Attributes:
        url: What to open in a browser; with a token, that is in it, so print it once and do not
            log it.
        token: None if there is none.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        token: str | None,
        health: Callable[[], Mapping[str, Any]],
        about: Mapping[str, str],
        recording: bool,
    ) -> None:
        import uvicorn

        from edge_fer.runtime.serve.access import Access
        from edge_fer.runtime.serve.app import build_app
        from edge_fer.runtime.serve.frames import Exchange, Status, Viewers

        address = _readable_address(listener)
        self.token = token
        self.url = f"http://{address}/" + (f"#token={token}" if token else "")
        self._exchange = Exchange()
        viewers = Viewers(MAX_VIEWERS)
        status = Status(viewers, health, about=about, recording=recording)
        access = Access(token, f"edge_fer_{listener.getsockname()[1]}")
        app = build_app(self._exchange, viewers, status, access, health)
        self._server = uvicorn.Server(uvicorn.Config(app, **_SETTINGS))
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="edge-fer-serve", daemon=True
        )
        self._thread.start()
        LOG.info("serving http://%s/", address)

    def write(self, result: Result) -> None:
        """Shows a result to whoever watches; its image must not be written to from here on."""
        self._exchange.put(result)

    def close(self) -> None:
        """Sends viewers away and frees the port."""
        self._exchange.end()
        self._server.should_exit = True
        self._thread.join(CLOSE_WITHIN_S)

    def __enter__(self) -> "PageServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _serve(self, listener: socket.socket) -> None:
        try:
            self._server.run([listener])
        except Exception:
            LOG.exception("the web page stopped; the camera loop goes on")
        finally:
            listener.close()


def open_server(
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    token: str | None = None,
    health: Callable[[], Mapping[str, Any]],
    about: Mapping[str, str] | None = None,
    recording: bool = False,
) -> PageServer:
    """Starts the web page.

    Args:
        host: Name or address to listen at; ``0.0.0.0`` and ``::`` are all of this machine's.
        port: 0 takes a free one.
        token: What viewers must know. None is no token on the loopback address, and a random one
            anywhere else.
        health: ``Health.to_dict`` of the run, called in the server's thread for the page and for
            ``/health``, which is 200 if ``status`` is ``ok``, otherwise 503.
        about: What runs, as the page shows it: names and values.
        recording: Whether the run writes frames to a file; the page says so.

    Raises:
        MissingExtraError: The extra ``serve`` is not installed.
        OutputError: The address cannot be used, or the token is too short.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("The web page", "serve") from error
    from edge_fer.runtime.serve.access import check_token, is_this_machine

    if token is not None:
        check_token(token)
    listener = _listen(host, port)
    if token is None and not is_this_machine(_bracketed(listener.getsockname()[0])):
        token = secrets.token_urlsafe(24)
    return PageServer(listener, token=token, health=health, about=about or {}, recording=recording)


def _listen(host: str, port: int) -> socket.socket:
    """Opens the port, so that trouble is told before any thread starts."""
    where = f"{_bracketed(host)}:{port}"
    if not 0 <= port <= 65535:
        raise OutputError(f"{where}: ports are numbers up to 65535")
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise OutputError(f"{where}: not an address of this machine") from error
    listener = socket.socket(family, kind)
    try:
        _set_options(listener)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        reason = _REASONS.get(error.errno or 0, error.strerror)
        raise OutputError(f"{where}: {reason}") from error
    return listener


def _set_options(listener: socket.socket) -> None:
    """Lets a restart take the port again at once, and ends connections to clients that vanished."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {
        "TCP_KEEPIDLE": SILENCE_S,
        "TCP_KEEPINTVL": SILENCE_S // 3,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 1000 * SILENCE_S,
    }
    for name, value in options.items():
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _readable_address(listener: socket.socket) -> str:
    """Returns host and port for a browser: for all addresses, the one that others reach."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = _own_address() or socket.gethostname()
    return f"{_bracketed(host)}:{port}"


def _own_address() -> str | None:
    """The address that this machine would send from; a UDP socket sends nothing by connecting."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
