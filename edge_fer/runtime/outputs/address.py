"""Addresses of publishers: ``SCHEME://[USER[:PASSWORD]@]HOST[:PORT]/PATH[?OPTION=VALUE&...]``."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from edge_fer.errors import OutputError

DEFAULT_RATE_HZ = 10.0


@dataclass(frozen=True, kw_only=True)
class Address:
    """A parsed address; as text it is without user and password, fit for logs and messages.

    Attributes:
        scheme: Lower case.
        host: Empty if the address has none.
        port: ``None`` if the address has none.
        path: Decoded, without slashes at either end.
        options: The query, decoded.
        user: Decoded; ``None`` if the address has none.
        password: Decoded; ``None`` if the address has none.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    options: Mapping[str, str]
    user: str | None
    password: str | None = field(repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}/{self.path}"


def parse_address(text: str) -> Address:
    """Reads an address.

    Raises:
        OutputError: It is none. The message does not repeat it, for it may hold a password.
    """
    scheme = text.partition("://")[0]
    try:
        parts = urlsplit(text)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        return Address(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=parts.port,
            path=unquote(parts.path, errors="strict").strip("/"),
            options=dict(options),
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )
    except ValueError:
        raise OutputError(
            f"{scheme}://...: not an address; write user, password and topic with %XX for special "
            f"characters, e.g. %40 for @ and %2F for / in a password"
        ) from None


def require_options(address: Address, known: Collection[str]) -> None:
    """Raises ``OutputError`` if an option is not among those ``known``."""
    unknown = sorted(set(address.options) - set(known))
    if unknown:
        names = ", ".join(sorted(known))
        raise OutputError(f"{address}: unknown option {unknown[0]!r}; known: {names}")


def rate_option(address: Address) -> float:
    """Returns ``?rate=`` in frames per second, 0 for every frame; ``DEFAULT_RATE_HZ`` without it.

    Raises:
        OutputError: It is not a number from 0 to 1000.
    """
    text = address.options.get("rate", str(DEFAULT_RATE_HZ))
    try:
        rate_hz = float(text)
    except ValueError:
        rate_hz = -1.0
    if not 0 <= rate_hz <= 1000:
        raise OutputError(f"{address}: rate must be 0 (every frame) to 1000 a second, not {text!r}")
    return rate_hz
