"""Runs every check: ``edge-fer doctor``."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_fer.doctor import cameras, machine, power, software, storage
from edge_fer.doctor.device import Device, Finding, run_patiently
from edge_fer.sensors import ROOT, Run

SCHEMA = "edge-fer/doctor/1"
CHECKS: tuple[Callable[[Device], Finding], ...] = (
    machine.target,
    machine.system,
    machine.python,
    machine.emulation,
    cameras.cameras,
    cameras.camera_access,
    cameras.picamera2,
    software.engines,
    software.opencv,
    software.bundle,
    software.service,
    power.governor,
    power.clocks,
    power.temperature,
    power.throttling,
    power.power,
    storage.memory,
    storage.swap,
    storage.disk,
    machine.clock,
    machine.network_time,
)


def diagnose(
    root: Path = ROOT,
    run: Run = run_patiently,
    *,
    device: Device | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Looks at everything.

    Args:
        root: Where the system's files are found.
        run: Runs a command: what it printed, ``None`` if it failed.
        device: Instead of this machine under ``root``.
        progress: Called with the name of each check before it runs.

    Returns:
        ``edge-fer/doctor/1``: ``device``, and for each of ``checks`` its ``name``, ``status`` (ok,
        warn, fail, unknown), ``found`` and ``advice``.
    """
    device = device or Device(root=root, run=run)
    findings = []
    for check in CHECKS:
        progress(check.__name__.replace("_", " "))
        findings.append(_guarded(check, device))
    return {
        "schema": SCHEMA,
        "device": machine.summary(device),
        "checks": [asdict(finding) for finding in findings],
    }


def exit_code(document: Mapping[str, Any]) -> int:
    """Returns 1 if a check failed."""
    return int(any(check["status"] == "fail" for check in document["checks"]))


def rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Returns status, name, finding and advice of each check, for a table."""
    columns = ("status", "name", "found", "advice")
    return [[check[column] for column in columns] for check in document["checks"]]


def _guarded(check: Callable[[Device], Finding], device: Device) -> Finding:
    """A check that cannot cope with a machine does not hide the others."""
    try:
        return check(device)
    except (OSError, ValueError, KeyError, IndexError) as error:
        name = check.__name__.replace("_", " ")
        return Finding(name, "unknown", f"the check itself failed: {error!r}")
