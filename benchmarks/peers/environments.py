"""Environments of the peers: made once, taken up again where an installation broke off."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from catalogue import EDGE_FER, Peer

from edge_fer.errors import EdgeFerError

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
DONE = ".installed"
LIMIT_S = 1800


class PeerError(EdgeFerError):
    """A peer cannot be installed, or does not do what is asked of it."""


def default_folder() -> Path:
    """Returns ``$EDGE_FER_CACHE/peers``, without that variable ``~/.cache/edge-fer/peers``."""
    return Path(os.environ.get("EDGE_FER_CACHE") or "~/.cache/edge-fer").expanduser() / "peers"


def prepare(peer: Peer, folder: Path, announce: Callable[[str], None]) -> Path:
    """Installs a peer, unless exactly this is there already.

    Args:
        peer: Which.
        folder: Where environments lie.
        announce: Called before something is installed.

    Returns:
        Its environment. edge-fer is installed anew each time: it is this checkout.

    Raises:
        PeerError: It cannot be installed.
    """
    environment, key = folder / peer.name, _key(peer)
    done = environment / DONE
    if not done.is_file() or done.read_text() != key:
        announce(f"install what {peer.name} needs")
        environment.mkdir(parents=True, exist_ok=True)
        for command in install_commands(peer, environment):
            _run(command, environment)
        done.write_text(key)
    if peer.name == EDGE_FER:
        announce("install edge-fer from this checkout")
        _run([*_pip(environment), "--no-deps", "--force-reinstall", str(CHECKOUT)], environment)
    return environment


def install_commands(peer: Peer, environment: Path) -> list[list[str]]:
    """Returns the commands that make a peer's environment."""
    lists = HERE / "environments" / peer.name
    if peer.kind == "python":
        return [
            [sys.executable, "-m", "venv", str(environment)],
            [*_pip(environment), "--no-deps", "-r", str(lists / "requirements.txt")],
        ]
    files = [str(lists / name) for name in ("package.json", "package-lock.json")]
    return [
        ["cp", *files, str(environment)],
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(environment)],
    ]


def worker_command(peer: Peer, environment: Path, arguments: Sequence[str]) -> list[str]:
    """Returns the command that starts a peer's worker."""
    worker = str(HERE / "workers" / peer.worker)
    if peer.kind == "python":
        return [str(environment / "bin/python"), worker, *arguments]
    return ["node", worker, str(environment), *arguments]


def disk_mb(environment: Path) -> float:
    """Returns the size of all files of an environment, 10^6 bytes; no interpreter is among them."""
    sizes = [path.lstat().st_size for path in environment.rglob("*") if not path.is_dir()]
    return sum(sizes) / 1e6


def _pip(environment: Path) -> list[str]:
    pip = [str(environment / "bin/python"), "-m", "pip", "install"]
    return [*pip, "--quiet", "--disable-pip-version-check"]


def _key(peer: Peer) -> str:
    lists = sorted((HERE / "environments" / peer.name).iterdir())
    return hashlib.sha256(b"".join(file.read_bytes() for file in lists)).hexdigest()


def _run(command: Sequence[str], environment: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(f"{environment.name}: {error}") from error
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if "err" in line.lower()] or lines or ["no message"]
        raise PeerError(f"{environment.name}: {Path(command[0]).name} failed: {errors[-1]}")
