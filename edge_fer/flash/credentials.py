"""Files with keys, passwords and passphrases, read and turned into what a card may hold."""

import base64
import binascii
import re
from pathlib import Path

from edge_fer.deploy.signature import allowed_signers
from edge_fer.errors import EdgeFerError
from edge_fer.flash.crypt import hash_password
from edge_fer.provision import wifi_key

MIN_PASSWORD = 8
_KEY = re.compile(r"((?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?: .*)?")


def read_ssh_keys(path: Path) -> list[str]:
    """Returns the public keys of a ``.pub`` or ``authorized_keys`` file, without their comments.

    Raises:
        EdgeFerError: It is a private key, or holds something else than public keys, or nothing.
    """
    text = _read(path)
    if "PRIVATE KEY" in text:
        raise EdgeFerError(f"{path}: a private key; give the public one (usually {path.name}.pub)")
    lines = [line.strip() for line in text.splitlines()]
    keys = [_public_key(path, line) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise EdgeFerError(f"{path}: holds no public key")
    return keys


def read_signers(path: Path) -> str:
    """Returns the device's ``/etc/edge-fer/allowed_signers`` for the keys of a ``.pub`` file.

    Raises:
        EdgeFerError: It holds something else than public ed25519 keys, or nothing.
    """
    try:
        return "".join(map(allowed_signers, read_ssh_keys(path)))
    except EdgeFerError as error:
        raise EdgeFerError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def read_password_hash(path: Path) -> str:
    """Returns the crypt hash of the password on a file's only line.

    Raises:
        EdgeFerError: It is no usable password; the message does not tell it.
    """
    password = _only_line(path)
    if len(password) < MIN_PASSWORD:
        raise EdgeFerError(f"{path}: the password must have {MIN_PASSWORD} characters or more")
    return hash_password(password)


def read_wifi_key(path: Path, ssid: str) -> str:
    """Returns the WPA2 key from a passphrase, or from the 64 hex digits of the key itself.

    Raises:
        EdgeFerError: It is neither; the message does not tell it.
    """
    secret = _only_line(path)
    if re.fullmatch(r"[0-9A-Fa-f]{64}", secret):
        return secret.lower()
    try:
        return wifi_key(ssid, secret)
    except EdgeFerError as error:
        raise EdgeFerError(f"{path}: {error}") from error


def _public_key(path: Path, line: str) -> str:
    match = _KEY.fullmatch(line)
    try:
        blob = base64.b64decode(match[2], validate=True) if match else b""
    except binascii.Error:
        blob = b""
    if not match or blob[4 : 4 + int.from_bytes(blob[:4], "big")] != match[1].encode():
        raise EdgeFerError(f"{path}: a line of it is not a public ssh key")
    return f"{match[1]} {match[2]}"


def _only_line(path: Path) -> str:
    lines = _read(path).splitlines()
    if len(lines) != 1 or not lines[0] or "\0" in lines[0]:
        raise EdgeFerError(f"{path}: must hold one line, the secret")
    return lines[0]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise EdgeFerError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise EdgeFerError(f"{path}: is not UTF-8 text") from None
