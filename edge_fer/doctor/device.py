"""The device as checks see it: files under a root, commands, and this process's own rights."""

import getpass
import grp
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_fer.errors import EdgeFerError
from edge_fer.sensors import ROOT, Run
from edge_fer.target import Target, this_target
from edge_fer.telemetry import PACKAGES
from edge_fer.versions import installed_versions

#: Loading an engine takes a Raspberry Pi Zero 2 W many seconds.
PATIENCE_S = 90
Status = Literal["ok", "warn", "fail", "unknown"]


@dataclass(frozen=True)
class Finding:
    """What one check says.

    Attributes:
        name: Of the check.
        status: ``unknown`` where it cannot be told.
        found: For people, on one line.
        advice: What to run; never empty with ``warn`` and ``fail``.
    """

    name: str
    status: Status
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        assert self.advice or self.status in ("ok", "unknown"), f"{self.name} has no advice"


def run_patiently(command: Sequence[str]) -> str | None:
    """Returns what a command prints, ``None`` if it is missing, fails or hangs."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _own_name() -> str:
    """Returns the user's name, in a container that knows none the number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _own_groups() -> frozenset[str]:
    own = {os.getegid(), *os.getgroups()}
    return frozenset(group.gr_name for group in grp.getgrall() if group.gr_gid in own)


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _free_and_total_mb(path: Path) -> tuple[float, float]:
    usage = shutil.disk_usage(path)
    return usage.free / 1e6, usage.total / 1e6


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where and as whom checks look. The defaults are this machine and this process.

    Attributes:
        root: Where ``proc``, ``sys``, ``dev``, ``etc`` and ``opt`` are found.
        run: Runs a command.
        architecture: As ``platform.machine()`` says it.
        is_64bit: Of this Python, whatever the kernel is.
        python: Version of this Python.
        user: Who asks.
        groups: Of this process.
        versions: Of installed packages.
        has_module: Whether a module can be imported.
        may_open: Whether this process may read and write a device.
        disk_mb: Free and total space where a path is.
    """

    root: Path = ROOT
    run: Run = run_patiently
    architecture: str = field(default_factory=platform.machine)
    is_64bit: bool = sys.maxsize > 1 << 32
    python: str = field(default_factory=platform.python_version)
    user: str = field(default_factory=_own_name)
    groups: frozenset[str] = field(default_factory=_own_groups)
    versions: Mapping[str, str] = field(default_factory=lambda: installed_versions(PACKAGES))
    has_module: Callable[[str], bool] = _has_module
    may_open: Callable[[Path], bool] = lambda path: os.access(path, os.R_OK | os.W_OK)
    disk_mb: Callable[[Path], tuple[float, float]] = _free_and_total_mb

    @property
    def target(self) -> Target | None:
        """Its profile, if there is one."""
        try:
            return this_target(self.root, self.architecture)
        except EdgeFerError:
            return None

    @property
    def is_raspberry_pi(self) -> bool:
        """Whether its cameras are libcamera's."""
        return self.target is not None and self.target.boot == "raspberry-pi"

    def text(self, path: str) -> str:
        """Returns a small file's text, empty if it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").strip("\0\n ")
        except OSError:
            return ""

    def os_release(self) -> dict[str, str]:
        """Returns ``/etc/os-release``."""
        lines = self.text("etc/os-release").splitlines()
        pairs = (line.partition("=") for line in lines if "=" in line)
        return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
