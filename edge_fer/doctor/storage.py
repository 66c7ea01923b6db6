"""Checks of memory, swap and the disk."""

import re

from edge_fer.doctor.device import Device, Finding

#: What a camera loop takes with the system around it, and what is comfortable.
NEEDED_MB, COMFORTABLE_MB = 150, 300
SMALL_MEMORY_MB = 1100
LITTLE_DISK_MB, FULL_SHARE = 200, 0.9
SERVICE_DISK_MB = 800


def memory(device: Device) -> Finding:
    """Whether enough of it is free."""
    values = _meminfo_mb(device)
    free, total = values.get("MemAvailable"), values.get("MemTotal")
    if free is None or total is None:
        return Finding("memory", "unknown", "/proc/meminfo cannot be read")
    found = f"{free:.0f} of {total:.0f} MB free"
    advice = (
        "ps aux --sort=-rss | head; without a desktop: "
        "sudo systemctl set-default multi-user.target && sudo reboot"
    )
    if free < NEEDED_MB:
        return Finding("memory", "fail", found, advice)
    if free < COMFORTABLE_MB:
        return Finding("memory", "warn", found, advice)
    return Finding("memory", "ok", found)


def swap(device: Device) -> Finding:
    """Whether a small machine has some, and none is short of memory."""
    values = _meminfo_mb(device)
    total, free = values.get("SwapTotal"), values.get("SwapFree")
    if total is None or free is None:
        return Finding("swap", "unknown", "/proc/meminfo cannot be read")
    found = f"{total - free:.0f} of {total:.0f} MB used"
    if total and free < total / 2:
        return Finding(
            "swap", "warn", found, "ps aux --sort=-rss | head, and stop what is not needed"
        )
    if not total and values.get("MemTotal", 0) < SMALL_MEMORY_MB:
        advice = (
            "sudo apt install systemd-zram-generator && sudo reboot (in memory: spares the card)"
        )
        return Finding("swap", "warn", "none, and little memory", advice)
    return Finding("swap", "ok", found if total else "none")


def disk(device: Device) -> Finding:
    """Whether there is room for another release, and the disk can be written."""
    try:
        free, total = device.disk_mb(device.root)
    except OSError as error:
        return Finding("disk", "unknown", str(error.strerror))
    source, is_read_only = _root_disk(device)
    card = " (SD card)" if re.search(r"mmcblk\d", source) else ""
    found = f"{free:.0f} of {total:.0f} MB free on {source or 'the root file system'}{card}"
    if is_read_only:
        advice = (
            "sudo dmesg | grep -iE 'mmc|ext4'; a card that turned read-only is worn: replace it"
        )
        return Finding("disk", "fail", f"{found}, read-only", advice)
    advice = "sudo apt clean; sudo journalctl --vacuum-size=50M; sudo du -xh / | sort -h | tail -20"
    if free < LITTLE_DISK_MB:
        return Finding("disk", "fail", found, advice)
    needed = device.target.disk_mb if device.target else SERVICE_DISK_MB
    if free < needed or free < (1 - FULL_SHARE) * total:
        return Finding("disk", "warn", found, advice)
    return Finding("disk", "ok", found)


def _meminfo_mb(device: Device) -> dict[str, float]:
    pairs = re.findall(r"^(\w+):\s+(\d+) kB", device.text("proc/meminfo"), re.MULTILINE)
    return {name: int(kib) * 1024 / 1e6 for name, kib in pairs}


def _root_disk(device: Device) -> tuple[str, bool]:
    """Returns the device of ``/``, empty if unknown, and whether it is mounted read-only."""
    mounts = [line.split() for line in device.text("proc/mounts").splitlines()]
    found = [parts for parts in mounts if len(parts) > 3 and parts[1] == "/"]
    if not found:
        return "", False
    return found[-1][0], "ro" in found[-1][3].split(",")
