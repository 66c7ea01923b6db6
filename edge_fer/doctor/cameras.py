"""Checks of cameras: found, allowed, and with the software that they need."""

import re
from pathlib import Path

from edge_fer.doctor.device import Device, Finding
from edge_fer.provision import SERVICE_USER

GROUP = "video"

#: V4L2 nodes that take part in making or coding pictures, but are no cameras by themselves.
_NOT_CAMERAS = re.compile(r"pispbe|rp1-cfe|bcm2835-(codec|isp)|rpi-?vid|rpi-hevc|unicam")
_LIBCAMERA = ("rpicam-hello", "--list-cameras")
_LISTED = re.compile(r"^\s*\d+ : (\S+)", re.MULTILINE)


def cameras(device: Device) -> Finding:
    """Whether there is one."""
    names = [f"{node}: {name}" for node, name in _v4l2(device).items()]
    names += [f"camera module {name}" for name in _modules(device)]
    if names:
        return Finding("cameras", "ok", ", ".join(names))
    if device.is_raspberry_pi:
        advice = (
            "with the power off, seat the camera's cable; then sudo apt install rpicam-apps, "
            "and rpicam-hello --list-cameras"
        )
    else:
        advice = (
            "plug a camera in; then lsusb, and v4l2-ctl --list-devices (sudo apt install v4l-utils)"
        )
    return Finding("cameras", "warn", "none found", advice)


def camera_access(device: Device) -> Finding:
    """Whether this user and the service's may open them."""
    name = "camera access"
    if _service_is_stranger(device):
        advice = f"sudo usermod -aG video {SERVICE_USER} && sudo systemctl restart edge-fer"
        return Finding(name, "fail", f"the service's user is not in group {GROUP}", advice)
    nodes = [node for node in _nodes(device) if (device.root / "dev" / node).exists()]
    if not nodes:
        return Finding(name, "unknown", "no /dev/video*")
    closed = [node for node in nodes if not device.may_open(device.root / "dev" / node)]
    if not closed:
        return Finding(name, "ok", f"{device.user} may open them")
    found = f"{device.user} may not open {', '.join(closed)}"
    if GROUP in device.groups:
        return Finding(
            name, "fail", found, f"ls -l /dev/{closed[0]}; sudo chgrp video /dev/{closed[0]}"
        )
    advice = f"sudo usermod -aG video {device.user}, then log out and in again"
    return Finding(name, "fail", f"{found}: not in group video", advice)


def picamera2(device: Device) -> Finding:
    """Whether a camera module can be read from Python."""
    if not device.is_raspberry_pi:
        return Finding("picamera2", "ok", "not needed here")
    missing = [name for name in ("libcamera", "picamera2") if not device.has_module(name)]
    if not missing:
        return Finding("picamera2", "ok", "installed")
    advice = (
        "sudo apt install python3-picamera2; a venv sees it if it was made with "
        "python3 -m venv --system-site-packages"
    )
    return Finding("picamera2", "warn", f"{' and '.join(missing)} not found by this Python", advice)


def _service_is_stranger(device: Device) -> bool:
    users = [line.partition(":")[0] for line in device.text("etc/passwd").splitlines()]
    groups = [line.split(":") for line in device.text("etc/group").splitlines()]
    members = [name for group in groups if group[0] == GROUP for name in group[-1].split(",")]
    return SERVICE_USER in users and SERVICE_USER not in members


def _nodes(device: Device) -> dict[str, Path]:
    folders = (device.root / "sys/class/video4linux").glob("video*")
    numbered = [path for path in folders if path.name[5:].isdecimal()]
    return {path.name: path for path in sorted(numbered, key=lambda path: int(path.name[5:]))}


def _v4l2(device: Device) -> dict[str, str]:
    """Names of cameras by node; a camera's further nodes carry its metadata."""
    found = {}
    for node, folder in _nodes(device).items():
        name = device.text(str(folder.relative_to(device.root) / "name"))
        index = device.text(str(folder.relative_to(device.root) / "index")) or "0"
        if not _NOT_CAMERAS.search(name) and index == "0":
            found[node] = name or "unnamed"
    return found


def _modules(device: Device) -> list[str]:
    if not device.is_raspberry_pi:
        return []
    return _LISTED.findall(device.run(_LIBCAMERA) or "")
