"""The installer, killed at any point: the old release or the new one, and a rerun finishes."""

import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.deploy.devices import FolderDevice

POINTS = 20
#: Changes from ``release.json`` to the restart, and after it.
SWITCH, AFTER_SWITCH = 12, 6
NEVER = 0


def install_until(
    device: FolderDevice, release: Path, notes: Path, kill_at: int
) -> tuple[int, int]:
    """Installs until the power is cut; returns the exit code and how many changes were made."""
    notes.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent / "power_cut"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "POWER_CUT_NOTES": str(notes),
        "POWER_CUT_AT": str(kill_at),
    }
    done = subprocess.run(
        device.command("--release", str(release)),
        env=environment,
        start_new_session=True,
        capture_output=True,
        timeout=60,
    )
    return done.returncode, notes.stat().st_size


def forget(device: FolderDevice, kept: str) -> None:
    """Removes every release but one, so that the next has to be made anew."""
    for folder in (device.home / "releases").iterdir():
        if folder.name != kept:
            shutil.rmtree(folder)


def points_of(total: int) -> list[int]:
    """Every change from ``release.json`` to the restart, where the switch is, and some before."""
    switch = range(total - AFTER_SWITCH - SWITCH + 1, total - AFTER_SWITCH + 1)
    return [*random.Random(10).sample(range(1, switch.start), POINTS - SWITCH), *switch]


@pytest.mark.slow
def test_power_cut_at_any_point_leaves_a_release_that_runs(device, releases, tmp_path):
    notes = tmp_path / "notes"
    device.install(releases["1.0"])
    code, total = install_until(device, releases["2.0"], notes, NEVER)
    assert code == 0
    version, other = "2.0", "1.0"
    seen = set()
    for point in points_of(total):
        forget(device, (device.home / "current").readlink().name)
        code, _ = install_until(device, releases[other], notes, point)
        assert code == -signal.SIGKILL, point
        now = device.version()
        assert now in {version, other}, point
        seen.add(now == other)
        code, document = device.install(releases[other])
        assert (code, device.version()) == (0, other), (point, document)
        assert device.running() == f"active edge-fer {other}"
        version, other = other, version
    assert seen == {True, False}
