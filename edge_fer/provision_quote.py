"""Texts as values of other languages: YAML, the shell, systemd's units."""

import re
import shlex
from typing import Any

_PLAIN_WORD = re.compile(r"[A-Za-z0-9_./:,+@-]+")
_YAML = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
_SYSTEMD = {"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$"}


def quote_yaml(value: Any) -> str:
    """Returns a text, a truth or a list of texts in YAML's flow style."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(quote_yaml, value))}]"
    return f'"{"".join(map(_yaml_character, value))}"'


def quote_shell(value: Any) -> str:
    """Returns a text, a truth or a list of texts as words of a shell."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return shlex.join(value) if isinstance(value, list) else shlex.quote(value)


def quote_systemd(value: Any) -> str:
    """Returns a text, a truth or a list of texts as words of a command line in a unit."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(quote_systemd, value))
    if _PLAIN_WORD.fullmatch(value):
        return str(value)
    return f'"{"".join(map(_systemd_character, value))}"'


def _yaml_character(character: str) -> str:
    if character in _YAML:
        return _YAML[character]
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _systemd_character(character: str) -> str:
    if character in _SYSTEMD:
        return _SYSTEMD[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
