"""SHA-512 crypt, the ``$6$`` of /etc/shadow, which Python no longer has."""

import hashlib
import secrets

ROUNDS = 100_000
DEFAULT_ROUNDS = 5000
ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SALT_LENGTH = 16
_DIGEST_BYTES = 64


def hash_password(password: str) -> str:
    """Returns a password's hash with a fresh salt, as ``chpasswd -e`` takes it."""
    salt = "".join(secrets.choice(ALPHABET) for _ in range(SALT_LENGTH))
    return sha512_crypt(password, salt, ROUNDS)


def sha512_crypt(password: str, salt: str, rounds: int = DEFAULT_ROUNDS) -> str:
    """Returns ``$6$[rounds=N$]salt$hash``.

    Args:
        password: In clear.
        salt: 16 characters of ``ALPHABET`` at most.
        rounds: Of hashing; the usual number is not told in the result.
    """
    key, salt_bytes = password.encode(), salt.encode()
    digest = _first_digest(key, salt_bytes)
    key_fill = _fill(hashlib.sha512(key * len(key)).digest(), len(key))
    salt_fill = _fill(hashlib.sha512(salt_bytes * (16 + digest[0])).digest(), len(salt_bytes))
    for number in range(rounds):
        odd = number % 2
        text = key_fill if odd else digest
        text += (salt_fill if number % 3 else b"") + (key_fill if number % 7 else b"")
        digest = hashlib.sha512(text + (digest if odd else key_fill)).digest()
    told = "" if rounds == DEFAULT_ROUNDS else f"rounds={rounds}$"
    return f"$6${told}{salt}${_encode(digest)}"


def _first_digest(key: bytes, salt: bytes) -> bytes:
    inner = hashlib.sha512(key + salt + key).digest()
    text = key + salt + _fill(inner, len(key))
    bits = len(key)
    while bits:
        text += inner if bits & 1 else key
        bits >>= 1
    return hashlib.sha512(text).digest()


def _fill(digest: bytes, length: int) -> bytes:
    return (digest * (length // _DIGEST_BYTES + 1))[:length]


def _encode(digest: bytes) -> str:
    """Three bytes to four characters, in the order that the scheme prescribes."""
    characters, triple = [], (0, 21, 42)
    for _ in range(21):
        first, second, third = (digest[index] for index in triple)
        characters += _characters(first << 16 | second << 8 | third, 4)
        triple = (triple[1] + 1, triple[2] + 1, triple[0] + 1)
    return "".join(characters + _characters(digest[63], 2))


def _characters(value: int, count: int) -> list[str]:
    return [ALPHABET[value >> 6 * place & 63] for place in range(count)]
