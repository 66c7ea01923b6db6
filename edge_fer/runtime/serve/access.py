"""Who may use the server: a token, one's own page only, and headers that say so to browsers.

Without a token (on the loopback address alone) a request must name this machine as its host, or a
web page could reach it through a name that its owner lets point here. With one, the token is sent
once to ``/login`` by browsers, which get a cookie for it, or with each request by programs
(``Authorization: Bearer TOKEN``, or as the password of Basic).
"""

import base64
import hmac
import ipaddress
import re
import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edge_fer.errors import OutputError

WRONG_TOKENS_AT_ONCE = 10
WRONG_TOKENS_PER_S = 0.5
TOKEN_RULE = re.compile(r"[A-Za-z0-9_-]{12,128}")
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
REFUSALS = {
    401: "a token is needed: it is in the address that edge-fer printed when it started\n",
    403: "only this server's own page may do that\n",
    421: "this server answers to localhost only; start it with a token for other names\n",
    429: "too many wrong tokens; try again in a few seconds\n",
}


def check_token(token: str) -> str:
    """Returns the token.

    Raises:
        OutputError: It is too short to keep anybody out, or does not fit an address.
    """
    if not TOKEN_RULE.fullmatch(token):
        raise OutputError(
            "token: give 12 to 128 letters, digits, - or _; or none, to get a random one"
        )
    return token


class Attempts:
    """Counts wrong tokens of everyone together: some at once, then slowly.

    Args:
        now_s: A clock that never goes back, seconds.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s, self._at_s = now_s, now_s()
        self._left = float(WRONG_TOKENS_AT_ONCE)

    def any_left(self) -> bool:
        """Whether a token may be looked at now."""
        now_s = self._now_s()
        earned = WRONG_TOKENS_PER_S * (now_s - self._at_s)
        self._at_s, self._left = now_s, min(WRONG_TOKENS_AT_ONCE, self._left + earned)
        return self._left >= 1

    def spend(self) -> None:
        """Counts a wrong one."""
        self._left -= 1


class Access:
    """Decides over requests, in HTTP's status codes.

    Args:
        token: None lets everyone in who comes to this machine's own names.
        cookie: Name of the cookie that stands for the token.
    """

    def __init__(self, token: str | None, cookie: str, attempts: Attempts | None = None) -> None:
        self._token, self._cookie = token, cookie
        self._session = secrets.token_urlsafe(32)
        self._attempts = attempts or Attempts()

    @property
    def set_cookie(self) -> str:
        """The header's value that logs a browser in until it closes, or until the server does."""
        return f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict"

    def login(self, token: str) -> int:
        """Returns 200 for the right token, 401 for a wrong one, 429 if it was not looked at."""
        if self._token is None:
            return 200
        if not self._attempts.any_left():
            return 429
        if hmac.compare_digest(token.encode(), self._token.encode()):
            return 200
        self._attempts.spend()
        return 401

    def site(self, headers: Headers) -> int:
        """Returns 200 unless the request is for another host (421) or from another site (403)."""
        host = headers.get("host", "")
        if self._token is None and not is_this_machine(host):
            return 421
        origin = headers.get("origin")
        return 200 if origin is None or _host_of(origin) == host.lower() else 403

    def identity(self, headers: Headers) -> int:
        """Returns 200 with the cookie or the token, otherwise 401 or 429."""
        cookie = cookie_parser(headers.get("cookie", "")).get(self._cookie, "")
        if self._token is None or hmac.compare_digest(cookie.encode(), self._session.encode()):
            return 200
        token = _token_of(headers.get("authorization", ""))
        return self.login(token) if token else 401


def is_this_machine(host: str) -> bool:
    """Whether a ``Host`` header names the loopback address; any port may follow."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _host_of(origin: str) -> str:
    """Returns host and port of an ``Origin`` header; empty for ``null`` and for nonsense."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _token_of(authorization: str) -> str:
    """Reads ``Bearer TOKEN`` or ``Basic`` with the token as password; empty if it is neither."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    try:
        return (
            base64.b64decode(value).decode().partition(":")[2] if scheme.lower() == "basic" else ""
        )
    except ValueError:
        return ""


class Guard:
    """Stands before every address.

    Args:
        app: What it guards.
        access: Decides.
        public: Paths that need no token.
    """

    def __init__(self, app: ASGIApp, access: Access, public: frozenset[str]) -> None:
        self._app, self._access, self._public = app, access, public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request or a WebSocket, or refuses it with a line of text."""

        async def send_with_headers(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        status = self._judge(scope)
        if status == 200:
            await self._app(scope, receive, send_with_headers)
        else:
            refusal = PlainTextResponse(REFUSALS[status], status)
            await refusal(scope, receive, send_with_headers)

    def _judge(self, scope: Scope) -> int:
        headers = Headers(scope=scope)
        status = self._access.site(headers)
        if status == 200 and scope["path"] not in self._public:
            status = self._access.identity(headers)
        return status
