"""Tables made by sfdisk, and tables that are noise."""

import json
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_fer.errors import EdgeFerError
from edge_fer.flash.partitions import (
    FAT_KINDS,
    HEAD_BYTES,
    SECTOR,
    Partition,
    boot_partition,
    read_partitions,
)
from tests.flash.cards import find_program

KINDS = {
    "dos": ("c", "b", "e", "6", "83", "82", "ef"),
    "gpt": (
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
    ),
}
sfdisk = pytest.mark.skipif(find_program("sfdisk") is None, reason="sfdisk is not installed")


@st.composite
def layouts(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, int, str]]]:
    """A kind of table, and number, start, size (sectors) and type of its partitions."""
    label = draw(st.sampled_from(sorted(KINDS)))
    most = 4 if label == "dos" else 9
    numbers = draw(st.lists(st.integers(1, most), unique=True, min_size=1, max_size=most))
    at, rows = 2048, []
    for number in numbers:
        at += draw(st.integers(0, 9000))
        size = draw(st.integers(1, 50_000))
        rows.append((number, at, size, draw(st.sampled_from(KINDS[label]))))
        at += size
    return label, rows


@sfdisk
@settings(max_examples=25, deadline=None, derandomize=True)
@given(layouts())
def test_reads_what_sfdisk_wrote(layout):
    label, rows = layout
    with tempfile.TemporaryDirectory() as folder:
        disk = Path(folder) / "disk"
        with disk.open("wb") as stream:
            stream.truncate((max(start + size for _, start, size, _ in rows) + 4096) * SECTOR)
        lines = [
            f"{number}: start={start}, size={size}, type={kind}"
            for number, start, size, kind in rows
        ]
        _sfdisk("--quiet", disk, stdin="\n".join([f"label: {label}", *lines]))
        told = json.loads(_sfdisk("--json", disk))["partitiontable"]["partitions"]
        with disk.open("rb") as stream:
            found = read_partitions(stream.read(HEAD_BYTES))
    assert [(p.number, p.start_bytes, p.size_bytes, p.kind) for p in found] == [
        (
            int(entry["node"].removeprefix(str(disk))),
            entry["start"] * SECTOR,
            entry["size"] * SECTOR,
            entry["type"].lower(),
        )
        for entry in sorted(told, key=lambda one: int(one["node"].removeprefix(str(disk))))
    ]
    assert sorted(row[:3] for row in rows) == [
        (p.number, p.start_bytes // SECTOR, p.size_bytes // SECTOR) for p in found
    ]


def _sfdisk(option: str, disk: Path, stdin: str = "") -> str:
    command = [find_program("sfdisk") or "", option, str(disk)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=2048), st.booleans())
@example(b"", False)
@example(b"\xff" * 2048, True)
@example(bytes(446) + b"\0\0\0\0\xee\0\0\0\1\0\0\0\xff\xff\xff\xff" + bytes(2000), True)
def test_noise_is_refused_or_read(noise, signed):
    head = noise[:510].ljust(510, b"\0") + b"\x55\xaa" + noise[510:] if signed else noise
    try:
        partitions = read_partitions(head)
    except EdgeFerError:
        return
    assert all(p.start_bytes >= SECTOR and p.size_bytes > 0 for p in partitions)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 900), st.binary(max_size=300), st.integers(0, 500), st.integers(0, 500))
def test_split_loses_nothing(offset, block, start, size):
    partition = Partition(number=1, start_bytes=start, size_bytes=size, kind="c")
    before, inside, after = partition.split(offset, block)
    assert before + inside + after == block
    positions = range(offset, offset + len(block))
    assert len(before) == sum(at < start for at in positions)
    assert len(inside) == sum(start <= at < start + size for at in positions)


@pytest.mark.parametrize("kind", FAT_KINDS)
def test_first_fat_partition_is_the_boot_partition(kind):
    linux, fat, other = (
        Partition(number=number, start_bytes=number * SECTOR, size_bytes=SECTOR, kind=one)
        for number, one in enumerate(("83", kind, kind), start=1)
    )
    assert boot_partition([linux, fat, other]) is fat
    with pytest.raises(EdgeFerError, match="no FAT boot partition"):
        boot_partition([linux])
