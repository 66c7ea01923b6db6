"""What the kernel says of a disk, and which disks are never written to."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_fer.errors import OutputError

ROOT = Path("/")
SECTOR = 512
_MODEL_FILES = ("vendor", "model", "name")


@dataclass(frozen=True, kw_only=True)
class Disk:
    """One block device.

    Attributes:
        name: As in ``/dev/sdb``, without the folder.
        model: What it calls itself; empty where it does not.
        size_bytes: Of the whole.
        whole: Not a partition.
        removable: A card, or something on USB.
        read_only: Its switch, or the kernel, says so.
        uses: What it or its partitions are used for now: mount points, swap, other devices.
    """

    name: str
    model: str
    size_bytes: int
    whole: bool
    removable: bool
    read_only: bool
    uses: tuple[str, ...]


def read_disk(name: str, root: Path = ROOT) -> Disk:
    """Reads what is known of a disk.

    Args:
        name: As in ``/dev/sdb``, without the folder.
        root: Where ``sys`` and ``proc`` are found.

    Raises:
        OutputError: The kernel knows no such disk.
    """
    folder = root / "sys/class/block" / name
    size = _text(folder / "size")
    if not size.isdecimal():
        raise OutputError(f"/dev/{name}: the kernel knows no such disk")
    return Disk(
        name=name,
        model=" ".join(filter(None, (_text(folder / "device" / key) for key in _MODEL_FILES))),
        size_bytes=int(size) * SECTOR,
        whole=not (folder / "partition").exists(),
        removable=_is_removable(folder),
        read_only=_text(folder / "ro") == "1",
        uses=tuple(_uses(name, folder, root)),
    )


def refuse_disk(disk: Disk, *, force_fixed: bool) -> None:
    """Raises ``OutputError`` for a disk that must not be written to.

    Args:
        disk: What is known of it.
        force_fixed: Take one that is neither a card nor on USB.
    """
    where = f"/dev/{disk.name}"
    if not disk.whole:
        raise OutputError(f"{where}: a partition; give the whole disk")
    if "/" in disk.uses:
        raise OutputError(f"{where}: the system runs from it")
    if disk.uses:
        raise OutputError(f"{where}: in use ({', '.join(disk.uses)}); unmount it first")
    if disk.read_only:
        raise OutputError(f"{where}: read-only; look at the card's switch")
    if disk.size_bytes == 0:
        raise OutputError(f"{where}: no card is in it")
    if not disk.removable and not force_fixed:
        raise OutputError(
            f"{where}: built in, neither a card nor on USB; --force-fixed if you are sure"
        )


def _is_removable(folder: Path) -> bool:
    """A built-in flash chip (``MMC``) is behind the same bus as cards (``SD``)."""
    on_usb = any(part.startswith("usb") for part in folder.resolve().parts)
    card = _text(folder / "device/type") in {"SD", "SDIO"}
    return on_usb or card or _text(folder / "removable") == "1"


def _uses(name: str, folder: Path, root: Path) -> Iterator[str]:
    parts = [path.parent for path in folder.glob("*/partition")]
    names = {name, *(part.name for part in parts)}
    numbers = {_text(part / "dev") for part in (folder, *parts)} - {""}
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        source = Path(after.split()[1]).name if len(after.split()) > 1 else ""
        if before.split()[2] in numbers or source in names:
            yield _unescape(before.split()[4])
    for line in _text(root / "proc/swaps").splitlines()[1:]:
        if line.split() and Path(line.split()[0]).name in names:
            yield "swap"
    for part in (folder, *parts):
        yield from (f"/dev/{holder.name}" for holder in sorted(part.glob("holders/*")))


def _unescape(text: str) -> str:
    """Undoes the kernel's octal numbers, e.g. for a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
