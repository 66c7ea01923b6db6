"""A device in a folder: a root, a service manager that keeps notes, and tiny releases for it."""

import json
import platform
import stat
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from edge_fer.deploy import install
from edge_fer.deploy.release import INSTALLER, build_release
from edge_fer.target import Target

TAG = "cp{}{}".format(*sys.version_info[:2])
PROGRAM = """
import json, sys
def main():
    if "bench" in sys.argv:
        print(json.dumps({{"schema": "edge-fer/bench/1", "rows": [], "argv": sys.argv[1:]}}))
    else:
        import edge_fer_part
        print("edge-fer {version}")
"""
#: restart: the release must run, and must not be named in ROOT/broken.
SERVICE = """#!/bin/sh
echo "$@" >> ROOT/service.log
case "$1" in
restart|start)
    echo failed > ROOT/state
    version=$(ROOT/opt/edge-fer/current/venv/bin/edge-fer --version) || exit 1
    if grep -qx "$version" ROOT/broken 2>/dev/null; then echo "Job failed"; exit 1; fi
    echo "active $version" > ROOT/state ;;
stop) echo inactive > ROOT/state ;;
is-active) cat ROOT/state; grep -q ^active ROOT/state ;;
esac
"""


def here(**changes: Any) -> Target:
    """The machine that the tests run on, as a target."""
    machine = platform.machine()
    facts = {
        "name": "here",
        "description": "this machine",
        "architectures": (machine,),
        "engines": ("litert",),
        "verified": "",
        "python": TAG,
        "platforms": (f"manylinux_2_28_{machine}", f"manylinux2014_{machine}"),
    }
    return Target(**{**facts, **changes})


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    files: dict[str, str],
    *,
    metadata: str = "",
    tag="py3-none-any",
) -> Path:
    """Writes a wheel by hand."""
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = [
        f"{path},sha256={urlsafe_b64encode(sha256(text.encode()).digest()).decode().rstrip('=')},"
        f"{len(text.encode())}"
        for path, text in contents.items()
    ]
    wheel = folder / f"{name}-{version}-{tag}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
    return wheel


def make_wheels(folder: Path, version: str) -> Path:
    """Writes an edge-fer that only tells its version, and what it needs."""
    make_wheel(
        folder,
        "edge_fer",
        version,
        {
            "edge_fer/__init__.py": PROGRAM.format(version=version),
            f"edge_fer-{version}.dist-info/entry_points.txt": (
                "[console_scripts]\nedge-fer = edge_fer:main\n"
            ),
        },
        metadata="Requires-Dist: edge-fer-part>=1\n",
    )
    make_wheel(folder, "edge_fer_part", "1.0", {"edge_fer_part.py": ""})
    return folder


def make_release(out: Path, bundle: Path, version: str, **changes: Any) -> Path:
    """Makes a release of the tiny wheels."""
    wheels = make_wheels(out.parent / f"wheels-{version}", version)
    build_release(out, **{"target": here(), "bundle": bundle, "wheels": wheels, **changes})
    return out


class FolderDevice:
    """A device whose root is a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / install.HOME
        self.service = root / "service"
        root.mkdir(parents=True)
        self.service.write_text(SERVICE.replace("ROOT", str(root)))
        self.service.chmod(self.service.stat().st_mode | stat.S_IXUSR)

    def command(self, *arguments: str) -> list[str]:
        fixed = ["--root", str(self.root), "--service", str(self.service), "--settle-s", "0"]
        return [sys.executable, str(INSTALLER), *fixed, *arguments]

    def install(self, release: Path) -> tuple[int, dict[str, Any]]:
        return self.ask("--release", str(release))

    def ask(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Runs the installer; returns its exit code and its document."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=60)
        assert not done.stderr, done.stderr
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    def version(self) -> str:
        """What the current release says when it is run."""
        program = self.home / "current/venv/bin/edge-fer"
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().removeprefix("edge-fer ")

    def running(self) -> str:
        """What the service manager started last, and its state."""
        return (self.root / "state").read_text().strip()

    def log(self) -> list[str]:
        return (self.root / "service.log").read_text().splitlines()

    def breaks(self, *versions: str) -> None:
        """From now on, the service does not come up with these versions."""
        (self.root / "broken").write_text("".join(f"edge-fer {one}\n" for one in versions))
