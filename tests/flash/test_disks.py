"""Disks of a made-up machine: sysfs and proc in a folder."""

from pathlib import Path

import pytest

from edge_fer.errors import OutputError
from edge_fer.flash.disks import read_disk, refuse_disk
from edge_fer.flash.flash import flash

MOUNTS = """\
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
23 22 0:21 / /proc rw - proc proc rw
41 22 8:33 / /media/me/OLD\\040CARD rw - vfat /dev/sdc1 rw
42 22 0:40 /@ /data rw - btrfs /dev/sdd1 rw
43 22 253:0 / /home rw - ext4 /dev/mapper/home rw
"""
SWAPS = "Filename Type Size Used Priority\n/dev/sde2 partition 1000 0 -2\n"


class Machine:
    """Puts disks into a root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/mountinfo").write_text(MOUNTS)
        (root / "proc/swaps").write_text(SWAPS)
        (root / "sys/class/block").mkdir(parents=True)

    def add(self, name: str, dev: str, bus: str = "pci0/ata1", parts=(), **facts: str) -> None:
        """Adds a disk with partitions ``(name, dev)``; ``facts`` are files, ``__`` for ``/``."""
        folder = self.root / f"sys/devices/{bus}/block/{name}"
        self._fill(folder, {"dev": dev, "size": "62333952", "ro": "0", "removable": "0", **facts})
        self._link(name, folder)
        for number, (part, part_dev) in enumerate(parts, start=1):
            self._fill(folder / part, {"dev": part_dev, "size": "1", "partition": str(number)})
            self._link(part, folder / part)

    def hold(self, name: str, holder: str) -> None:
        (self.root / "sys/class/block" / name / "holders" / holder).mkdir(parents=True)

    def _fill(self, folder: Path, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")

    def _link(self, name: str, folder: Path) -> None:
        (self.root / "sys/class/block" / name).symlink_to(folder)


@pytest.fixture
def machine(tmp_path):
    """A laptop: its own disk, card readers of both kinds, disks in every use."""
    made = Machine(tmp_path / "root")
    made.add("nvme0n1", "259:0", parts=[("nvme0n1p1", "259:1"), ("nvme0n1p2", "259:2")])
    made.add("sda", "8:0")
    made.add("sdb", "8:16", "pci0/usb1/1-1", parts=[("sdb1", "8:17")], device__model="SD Reader")
    made.add("sdc", "8:32", "pci0/usb1/1-2", parts=[("sdc1", "8:33")])
    made.add("sdd", "8:48", "pci0/usb1/1-3", parts=[("sdd1", "8:49")])
    made.add("sde", "8:64", "pci0/usb1/1-4", parts=[("sde1", "8:65"), ("sde2", "8:66")])
    made.add("sdf", "8:80", "pci0/usb1/1-5", parts=[("sdf1", "8:81")])
    made.hold("sdf1", "dm-0")
    made.add("sdg", "8:96", "pci0/usb1/1-6", ro="1")
    made.add("sdh", "8:112", "pci0/usb1/1-7", size="0")
    made.add("mmcblk0", "179:0", "pci0/mmc0", device__type="SD", device__name="SC32G")
    made.add("mmcblk1", "179:8", "soc/mmc1", device__type="MMC")
    made.add("sdi", "8:128", removable="1")
    return made


@pytest.mark.parametrize("name", ["sdb", "mmcblk0", "sdi"])
def test_cards_are_taken(machine, name):
    refuse_disk(read_disk(name, machine.root), force_fixed=False)


def test_what_is_told_of_a_card(machine):
    disk = read_disk("sdb", machine.root)
    assert (disk.model, disk.size_bytes) == ("SD Reader", 62333952 * 512)
    assert read_disk("mmcblk0", machine.root).model == "SC32G"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nvme0n1", "the system runs from it"),
        ("nvme0n1p2", "a partition; give the whole disk"),
        ("sdb1", "a partition; give the whole disk"),
        ("sdc", r"in use \(/media/me/OLD CARD\)"),
        ("sdd", r"in use \(/data\)"),
        ("sde", r"in use \(swap\)"),
        ("sdf", r"in use \(/dev/dm-0\)"),
        ("sdg", "read-only"),
        ("sdh", "no card is in it"),
        ("sdz", "knows no such disk"),
    ],
)
def test_refused_whatever_is_forced(machine, name, words):
    with pytest.raises(OutputError, match=words):
        refuse_disk(read_disk(name, machine.root), force_fixed=True)


@pytest.mark.parametrize("name", ["sda", "mmcblk1"])
def test_built_in_disks_only_if_forced(machine, name):
    disk = read_disk(name, machine.root)
    refuse_disk(disk, force_fixed=True)
    with pytest.raises(OutputError, match="--force-fixed"):
        refuse_disk(disk, force_fixed=False)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"removable": "1", "partition": "1"}, "a partition; give the whole disk"),
        ({"removable": "1", "dev": "259:2"}, "the system runs from it"),
        ({"removable": "1", "size": "2048"}, "too small, has 1 MB"),
        ({"removable": "0"}, "--force-fixed"),
    ],
)
def test_flash_asks_the_kernel_before_it_writes(ask, loop_disk, tmp_path, facts, words):
    """A real block device, of which the made-up machine says something else."""
    disk = loop_disk(32 << 20)
    made = Machine(tmp_path / "root")
    made.add(disk.name, **{"dev": "7:0", **facts})
    with pytest.raises(OutputError, match=words):
        flash(ask(out=disk, yes=True), lambda *step: None, input, root=made.root)
    with disk.open("rb") as stream:
        assert not stream.read(1 << 20).strip(b"\0")
