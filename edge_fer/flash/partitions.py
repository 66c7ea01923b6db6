"""Partition tables, MBR and GPT: where an image's boot partition is."""

import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from edge_fer.errors import EdgeFerError

SECTOR = 512
#: So much of an image's start holds every usual table.
HEAD_BYTES = 1 << 20
MAX_ENTRIES = 1024
PROTECTIVE = "ee"
#: FAT 12, 16 and 32 in an MBR, with the EFI partition; EFI and basic data in a GPT.
FAT_KINDS = (
    "1",
    "4",
    "6",
    "b",
    "c",
    "e",
    "ef",
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7",
)


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One entry of a table.

    Attributes:
        number: As in ``/dev/sda1``.
        start_bytes: From the start of the disk.
        size_bytes: Of the partition.
        kind: MBR type in hex, or GPT type UUID; lower case.
    """

    number: int
    start_bytes: int
    size_bytes: int
    kind: str

    @property
    def end_bytes(self) -> int:
        """First byte behind it."""
        return self.start_bytes + self.size_bytes

    def split(self, offset: int, block: bytes) -> tuple[bytes, bytes, bytes]:
        """Cuts a block of the disk into what is before, in and behind the partition.

        Args:
            offset: Of the block on the disk.
            block: The bytes there.
        """
        first, last = (
            min(max(edge - offset, 0), len(block)) for edge in (self.start_bytes, self.end_bytes)
        )
        return block[:first], block[first:last], block[last:]


def read_partitions(head: bytes) -> list[Partition]:
    """Reads a table.

    Args:
        head: The disk's first ``HEAD_BYTES``, or all of a smaller one.

    Raises:
        EdgeFerError: There is no table, or a damaged one.
    """
    if (
        len(head) < SECTOR
        or head[510:512] != b"\x55\xaa"
        or any(head[446:510:16][i] & 0x7F for i in range(4))
    ):
        raise EdgeFerError("it has no partition table")
    partitions = list(_mbr(head))
    if any(partition.kind == PROTECTIVE for partition in partitions):
        partitions = list(_gpt(head))
    for partition in partitions:
        if partition.start_bytes < SECTOR or partition.size_bytes <= 0:
            raise EdgeFerError(f"its partition table is damaged (partition {partition.number})")
    return partitions


def boot_partition(partitions: list[Partition]) -> Partition:
    """Returns the first partition that is for FAT.

    Raises:
        EdgeFerError: There is none.
    """
    for partition in partitions:
        if partition.kind in FAT_KINDS:
            return partition
    raise EdgeFerError("it has no FAT boot partition")


def _mbr(head: bytes) -> Iterator[Partition]:
    for number in range(1, 5):
        entry = head[430 + 16 * number : 446 + 16 * number]
        start, count = struct.unpack_from("<II", entry, 8)
        if entry[4] and count:
            yield Partition(
                number=number,
                start_bytes=start * SECTOR,
                size_bytes=count * SECTOR,
                kind=f"{entry[4]:x}",
            )


def _gpt(head: bytes) -> Iterator[Partition]:
    table, entry_bytes = _gpt_table(head)
    for number, at in enumerate(range(0, len(table), entry_bytes), start=1):
        first, last = struct.unpack_from("<QQ", table, at + 32)
        kind = uuid.UUID(bytes_le=table[at : at + 16])
        if kind.int:
            yield Partition(
                number=number,
                start_bytes=first * SECTOR,
                size_bytes=(last - first + 1) * SECTOR,
                kind=str(kind),
            )


def _gpt_table(head: bytes) -> tuple[bytes, int]:
    """Returns the entries' bytes and the size of one, both checksums verified."""
    header = head[SECTOR : 2 * SECTOR]
    if len(header) < SECTOR or header[:8] != b"EFI PART":
        raise EdgeFerError("its partition table (GPT) has no header")
    size, checksum = struct.unpack_from("<II", header, 12)
    entries_sector, count, entry_bytes, table_checksum = struct.unpack_from("<QIII", header, 72)
    at = entries_sector * SECTOR
    table = head[at : at + count * entry_bytes]
    if (
        not 92 <= size <= SECTOR
        or zlib.crc32(header[:16] + bytes(4) + header[20:size]) != checksum
        or not (0 < count <= MAX_ENTRIES and 128 <= entry_bytes <= SECTOR)
        or len(table) < count * entry_bytes
        or zlib.crc32(table) != table_checksum
    ):
        raise EdgeFerError("its partition table (GPT) is damaged")
    return table, entry_bytes
