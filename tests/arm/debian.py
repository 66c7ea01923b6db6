"""Debian's arm64 systems, unpacked from packages without running any of them."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

SOURCES = ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list")
MIRROR = re.compile(r"^(?:URIs:|deb)\s+(?:\[.*?\]\s+)?(\S+/debian/?)(?:\s|$)", re.MULTILINE)
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def need(*programs: str) -> None:
    """Skips the test, with one reason, where it cannot run."""
    missing = [name for name in programs if shutil.which(name, path=PATH) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if os.geteuid():
        pytest.skip("only root can make and enter an arm64 root")


def cache() -> Path:
    """Where unpacked systems are kept."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edge-fer-arm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def unpacked_system(suite: str, packages: Sequence[str]) -> Path:
    """Returns a folder with packages of a suite and what they need, unpacked at most once."""
    wanted = ",".join(packages)
    root = cache() / f"{suite}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if not root.exists():
        with tempfile.TemporaryDirectory(dir=cache(), prefix=".") as temporary:
            new = Path(temporary) / "root"
            unpack(new, suite, wanted)
            new.rename(root)
    return root


def unpack(root: Path, suite: str, packages: str) -> None:
    """Unpacks packages from the mirror that this machine uses, else from Debian's own."""
    found = MIRROR.search("\n".join(Path(s).read_text() for s in SOURCES if Path(s).exists()))
    options = ["--quiet", "--variant=extract", "--architectures=arm64", f"--include={packages}"]
    run("mmdebstrap", *options, suite, root, *([found[1]] if found else []))
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)


def run(*command: str | Path) -> None:
    """Runs a program of this machine."""
    program = shutil.which(command[0], path=PATH) or command[0]
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
