import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_fer.deploy.signature import sign
from edge_fer.flash.request import FlashRequest
from edge_fer.resources import find_resource
from edge_fer.target import read_target
from tests.flash.cards import BOOKWORM, CLOUD_INIT, make_card, make_release, need, run

pytest.importorskip("fatfs", reason="fatfs-ng is not installed (pip install 'edge-fer[flash]')")

KEY_BLOB = b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(32))
PUBLIC_KEY = f"ssh-ed25519 {base64.b64encode(KEY_BLOB).decode()}"


@pytest.fixture(scope="session")
def trixie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that takes cloud-init; tests copy it before they change it."""
    return make_card(tmp_path_factory.mktemp("trixie") / "trixie.img", CLOUD_INIT)


@pytest.fixture(scope="session")
def bookworm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that takes firstrun.sh; tests copy it before they change it."""
    return make_card(tmp_path_factory.mktemp("bookworm") / "bookworm.img", BOOKWORM)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def release_cp311(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("release-cp311"), python="cp311")


@pytest.fixture
def ask(tmp_path: Path, trixie: Path, release: Path) -> Callable[..., FlashRequest]:
    """Makes requests: what is not given is fine."""
    key = tmp_path / "id.pub"
    key.write_text(f"{PUBLIC_KEY} me@laptop\n")

    def make(**changes: Any) -> FlashRequest:
        usual = {
            "image": trixie,
            "target": read_target(find_resource("target", "raspberry-pi-5")),
            "out": tmp_path / "card.img",
            "release": release,
            "hostname": "robot",
            "user": "ada",
            "ssh_key": key,
        }
        return FlashRequest(**{**usual, **changes})

    return make


@pytest.fixture
def signed(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    """Makes a signed release for a Python; returns it, and the public key of who signed it."""
    need("ssh-keygen")
    key = tmp_path / "signer"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f", key)

    def make(python: str) -> tuple[Path, Path]:
        release = make_release(tmp_path / "signed", python=python)
        sign(release / "release.json", key, release / "release.sig")
        return release, tmp_path / "signer.pub"

    return make


@pytest.fixture
def loop_disk(tmp_path: Path) -> Any:
    """Attaches files as disks, where the kernel lets us."""
    disks = []

    def attach(size_bytes: int, *options: str) -> Path:
        file = tmp_path / f"disk-{len(disks)}"
        with file.open("wb") as stream:
            stream.truncate(size_bytes)
        try:
            name = run("losetup", "--find", "--show", *options, file).decode().strip()
        except Exception as error:
            pytest.skip(f"no loop devices here ({error})")
        disks.append(name)
        return Path(name)

    yield attach
    for name in disks:
        run("losetup", "--detach", name)
