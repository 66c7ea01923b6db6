"""A first pass over an image: is it whole and what it should be, and where is what."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from edge_fer.errors import EdgeFerError
from edge_fer.flash.image import BLOCK_BYTES, read_image
from edge_fer.flash.output import append_sparsely
from edge_fer.flash.partitions import (
    HEAD_BYTES,
    SECTOR,
    Partition,
    boot_partition,
    read_partitions,
)

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What an image is.

    Attributes:
        size_bytes: Unpacked.
        sha256: Of the unpacked image.
        outside_sha256: Of all but the boot partition.
        partition: The boot partition.
    """

    size_bytes: int
    sha256: str
    outside_sha256: str
    partition: Partition


def survey_image(
    image: Path, boot_file: BinaryIO, on_read: Callable[[int], None] = lambda _: None
) -> Survey:
    """Reads an image to its end.

    Args:
        image: Packed or not.
        boot_file: An empty file for a copy of the boot partition.
        on_read: Told how many bytes of the file were read.

    Raises:
        EdgeFerError: It is incomplete, damaged, or has no FAT boot partition.
    """
    head, blocks = _head(read_image(image, on_read))
    try:
        partitions = read_partitions(head)
        partition = boot_partition(partitions)
        whole, outside, size = hashlib.sha256(), hashlib.sha256(), 0
        for block in chain([head], blocks):
            before, inside, after = partition.split(size, block)
            whole.update(block)
            outside.update(before + after)
            append_sparsely(boot_file, inside)
            size += len(block)
        boot_file.truncate()
        if size % SECTOR or size < max(entry.end_bytes for entry in partitions):
            raise EdgeFerError("it ends in the middle of a partition or a sector: get it again")
    except EdgeFerError as error:
        raise EdgeFerError(f"{image}: {str(error).removeprefix(f'{image}: ')}") from error
    return Survey(
        size_bytes=size,
        sha256=whole.hexdigest(),
        outside_sha256=outside.hexdigest(),
        partition=partition,
    )


def expected_sha256(image: Path, given: str) -> str:
    """Returns what an image's checksum should be; empty if nobody says so.

    Args:
        image: ``IMAGE.sha256`` beside it is read, if nothing is given.
        given: Typed by the user.

    Raises:
        EdgeFerError: It is no SHA-256.
    """
    beside = image.with_name(f"{image.name}.sha256")
    if given:
        text, where = given, "--sha256"
    elif beside.is_file():
        lines = beside.read_text(errors="replace").splitlines()
        named = [line for line in lines if line.endswith(image.name)]
        text, where = " ".join((named or lines or [""])[0].split()[:1]), str(beside)
    else:
        return ""
    if not _SHA256.fullmatch(text):
        raise EdgeFerError(f"{where}: not a SHA-256 (64 hex digits)")
    return text.lower()


def file_sha256(path: Path) -> str:
    """Returns the digest of a file as it is.

    Raises:
        EdgeFerError: It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(BLOCK_BYTES), b""):
                digest.update(block)
    except OSError as error:
        raise EdgeFerError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _head(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    head = b""
    while len(head) < HEAD_BYTES and (block := next(blocks, b"")):
        head += block
    return head, blocks
