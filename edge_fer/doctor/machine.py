"""Checks of what the machine is: board, system, Python, and whether its clock is right."""

from edge_fer.doctor.device import Device, Finding
from edge_fer.target import board_model
from edge_fer.telemetry import cpu_model, is_emulated

OLDEST_PYTHON = (3, 10)
_TIMEDATE = ("timedatectl", "show", "--value", "--property")


def target(device: Device) -> Finding:
    """Whether there is a profile of this machine."""
    name = "target"
    what = cpu_model(device.root) or "unknown processor"
    if device.target is None:
        advice = "write a profile: see targets/README.md; until then every engine is tried"
        return Finding(name, "warn", f"{what}, {device.architecture}: no profile", advice)
    return Finding(name, "ok", f"{device.target.name}: {what}")


def system(device: Device) -> Finding:
    """Whether the operating system is one with wheels: 64 bits."""
    name = "system"
    said = device.os_release().get("PRETTY_NAME", "unknown system")
    tegra = device.text("etc/nv_tegra_release").partition(", GCID")[0].lstrip("# ")
    bits = "64-bit" if device.is_64bit else "32-bit"
    found = ", ".join(filter(None, [said, tegra, f"{bits} {device.architecture}"]))
    if device.is_64bit:
        return Finding(name, "ok", found)
    advice = "write a 64-bit image: edge-fer flash IMAGE --target NAME --out /dev/sdX"
    return Finding(name, "fail", found, advice)


def python(device: Device) -> Finding:
    """Whether this Python is new enough."""
    version = tuple(int(part) for part in device.python.split(".")[:2])
    if version >= OLDEST_PYTHON:
        return Finding("python", "ok", device.python)
    needed = ".".join(map(str, OLDEST_PYTHON))
    advice = "sudo apt update && sudo apt full-upgrade, or write a newer system image"
    return Finding("python", "fail", f"{device.python}, older than {needed}", advice)


def emulation(device: Device) -> Finding:
    """Whether times that are measured here mean anything."""
    if not is_emulated(device.root, device.architecture):
        return Finding("emulation", "ok", "a real processor")
    advice = "measure on the board itself: edge-fer bench"
    return Finding("emulation", "warn", "emulated: times say nothing about a device", advice)


def clock(device: Device) -> Finding:
    """Whether the time of day is right: TLS and recordings need it."""
    answer = device.run([*_TIMEDATE, "NTPSynchronized"])
    if answer is None:
        return Finding("clock", "unknown", "no timedatectl")
    if answer.strip() == "yes":
        return Finding("clock", "ok", "synchronised")
    advice = "timedatectl timesync-status; sudo systemctl restart systemd-timesyncd"
    return Finding("clock", "warn", "not synchronised", advice)


def network_time(device: Device) -> Finding:
    """Whether the clock is kept right: a Raspberry Pi forgets the time without power."""
    answer = device.run([*_TIMEDATE, "NTP"])
    if answer is None:
        return Finding("network time", "unknown", "no timedatectl")
    if answer.strip() == "yes":
        return Finding("network time", "ok", "on")
    return Finding("network time", "warn", "off", "sudo timedatectl set-ntp true")


def summary(device: Device) -> dict[str, str | None]:
    """Returns what the device is, plain values."""
    return {
        "target": device.target.name if device.target else None,
        "model": board_model(device.root) or cpu_model(device.root),
        "system": device.os_release().get("PRETTY_NAME"),
        "architecture": device.architecture,
        "python": device.python,
    }
