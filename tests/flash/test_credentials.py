import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import EdgeFerError
from edge_fer.flash.credentials import read_password_hash, read_ssh_keys, read_wifi_key
from edge_fer.flash.crypt import ALPHABET, hash_password, sha512_crypt
from tests.flash.conftest import PUBLIC_KEY


def test_published_example():
    assert sha512_crypt("Hello world!", "saltstringsaltst", 10_000) == (
        "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sb"
        "HbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."
    )


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=80),
    st.text(ALPHABET, min_size=1, max_size=16),
)
def test_equals_openssl(password, salt):
    command = ["openssl", "passwd", "-6", "-salt", salt, "-stdin"]
    told = subprocess.run(command, input=password.encode(), capture_output=True, check=True).stdout
    assert sha512_crypt(password, salt) == told.decode().strip()


def test_salts_are_fresh():
    assert hash_password("the same") != hash_password("the same")


def test_keys_lose_their_comments(tmp_path):
    file = tmp_path / "authorized_keys"
    file.write_text(f"# mine\n{PUBLIC_KEY} me@laptop $(reboot)\n\n{PUBLIC_KEY}\n")
    assert read_ssh_keys(file) == [PUBLIC_KEY, PUBLIC_KEY]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ("ssh-ed25519 AAAA", "not a public ssh key"),
        ("ssh-ed25519 !!!! me", "not a public ssh key"),
        (PUBLIC_KEY.replace("ssh-ed25519", "ssh-rsa"), "not a public ssh key"),
        (f'command="reboot" {PUBLIC_KEY}', "not a public ssh key"),
        (PUBLIC_KEY[:-3], "not a public ssh key"),
    ],
)
def test_what_is_no_public_key(tmp_path, text, words):
    file = tmp_path / "id"
    file.write_text(text)
    with pytest.raises(EdgeFerError, match=words) as caught:
        read_ssh_keys(file)
    assert "AAAA" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path, words in ((tmp_path / "none", "No such file"), (tmp_path / "binary", "not UTF-8")):
        with pytest.raises(EdgeFerError, match=words):
            read_ssh_keys(path)


def _secret(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "secret"
    file.write_text(text)
    return file


def test_wifi_key_of_the_standard(tmp_path):
    key = "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    assert read_wifi_key(_secret(tmp_path, "password\n"), "IEEE") == key
    assert read_wifi_key(_secret(tmp_path, key.upper()), "IEEE") == key


@pytest.mark.parametrize("text", ["short", "\u00fcml\u00e4ut pass", "x" * 65, "a\nb"])
def test_unusable_passphrase_is_not_told(tmp_path, text):
    with pytest.raises(EdgeFerError) as caught:
        read_wifi_key(_secret(tmp_path, text), "home")
    assert text not in str(caught.value)


def test_password_file(tmp_path):
    assert read_password_hash(_secret(tmp_path, "long enough\n")).startswith("$6$rounds=100000$")
    with pytest.raises(EdgeFerError, match="8 characters or more"):
        read_password_hash(_secret(tmp_path, "1234567\n"))
