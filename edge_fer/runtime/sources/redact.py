"""What of an address may be shown: no passwords, no query strings."""

import re

_URL = re.compile(r"([A-Za-z][\w+.-]*://)(\S*)")
_SECRET = re.compile(r"((?:pw|passwd|password|secret|token)\s*=\s*)(\"[^\"]*\"|'[^']*'|\S+)", re.I)


def redact(text: str) -> str:
    """Masks user names, passwords and query strings of the URLs in a text, and ``...pw=...``.

    Where a password holds characters that do not belong there unescaped, too much is masked
    rather than too little.
    """
    return _SECRET.sub(r"\1***", _URL.sub(_mask, text))


def _mask(url: re.Match[str]) -> str:
    scheme, rest = url.groups()
    path, _, query = rest.partition("?")
    if "@" in query:
        return f"{scheme}***"
    if "@" in path:
        path = "***@" + path.rpartition("@")[2]
    return f"{scheme}{path}" + ("?***" if query else "")
