"""Images, packed or not, read as a stream of blocks; what is not whole is refused."""

import gzip
import lzma
import os
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from edge_fer.errors import EdgeFerError

BLOCK_BYTES = 1 << 22
MAGICS = {
    "xz": b"\xfd7zXZ\0",
    "gz": b"\x1f\x8b",
    "zip": b"PK\x03\x04",
    "zst": b"\x28\xb5\x2f\xfd",
}
UNREADABLE = {
    "bzip2": b"BZh",
    "7z": b"7z\xbc\xaf\x27\x1c",
    "rar": b"Rar!",
    "lz4": b"\x04\x22\x4d\x18",
    "qcow2": b"QFI\xfb",
}
RAW = "raw"
#: Told how many bytes of the file were read.
OnRead = Callable[[int], None]
_DAMAGES = (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)


def read_image(path: Path, on_read: OnRead = lambda _: None) -> Iterator[bytes]:
    """Yields an image's bytes, unpacked, in blocks of ``BLOCK_BYTES`` at most.

    Args:
        path: The image; what packed it is told by its first bytes.
        on_read: For progress.

    Raises:
        EdgeFerError: It cannot be read, is incomplete or damaged, has something behind its end, or
            is packed by something unknown.
    """
    form = packing(path)
    try:
        with path.open("rb", buffering=0) as stream:
            for block in READERS[form](stream):
                on_read(os.lseek(stream.fileno(), 0, os.SEEK_CUR))
                yield block
    except _DAMAGES as error:
        raise EdgeFerError(
            f"{path}: incomplete or damaged {form} file ({error or 'it ends too early'})"
        ) from error


def packing(path: Path) -> str:
    """Returns the key of ``READERS`` for a file.

    Raises:
        EdgeFerError: It cannot be read, or is of no known kind.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise EdgeFerError(f"{path}: cannot be read: {error.strerror}") from error
    unreadable = next((name for name, magic in UNREADABLE.items() if start.startswith(magic)), "")
    if unreadable:
        raise EdgeFerError(f"{path}: {unreadable} is not read here; unpack it first")
    form = next((name for name, magic in MAGICS.items() if start.startswith(magic)), RAW)
    named = path.suffix.lower().removeprefix(".")
    if named in MAGICS and named != form:
        raise EdgeFerError(f"{path}: is not the .{named} file that its name says; get it again")
    return form


def _raw(stream: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: stream.read(BLOCK_BYTES), b"")


def _gz(stream: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=stream) as unpacked:
        yield from iter(lambda: unpacked.read(BLOCK_BYTES), b"")


def _xz(stream: BinaryIO) -> Iterator[bytes]:
    """Reads streams one behind the other, zeros between them, and nothing else."""
    packed = stream.read(BLOCK_BYTES)
    while packed:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
        while not decoder.eof:
            if decoder.needs_input and not packed:
                packed = stream.read(BLOCK_BYTES)
                if not packed:
                    raise EOFError
            block, packed = decoder.decompress(packed, BLOCK_BYTES), b""
            if block:
                yield block
        packed = decoder.unused_data
        while not packed.strip(b"\0") and (more := stream.read(BLOCK_BYTES)):
            packed = more
        packed = packed.lstrip(b"\0")


def _zip(stream: BinaryIO) -> Iterator[bytes]:
    with zipfile.ZipFile(stream) as archive:
        end = archive.start_dir + sum(map(_directory_bytes, archive.infolist()))
        size = stream.seek(0, os.SEEK_END)
        if size - len(archive.comment) - end not in (22, 22 + 76):  # 76: of a ZIP64
            raise zipfile.BadZipFile("something is behind its end")
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
        images = [entry for entry in files if entry.filename.endswith(".img")] or files
        if len(images) != 1 or images[0].flag_bits & 1:
            raise zipfile.BadZipFile("it holds no single image without a password")
        with archive.open(images[0]) as unpacked:
            yield from iter(lambda: unpacked.read(BLOCK_BYTES), b"")


def _directory_bytes(entry: zipfile.ZipInfo) -> int:
    name = entry.orig_filename.encode("utf-8" if entry.flag_bits & 0x800 else "cp437")
    return 46 + len(name) + len(entry.extra) + len(entry.comment)


def _zst(stream: BinaryIO) -> Iterator[bytes]:
    program = shutil.which("zstd")
    if program is None:
        raise EdgeFerError(".zst needs the program zstd: install it, or unpack the image first")
    command = [program, "-dcq"]
    with subprocess.Popen(
        command, stdin=stream, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        unpacked, trouble = process.stdout, process.stderr
        assert unpacked is not None
        assert trouble is not None
        try:
            while block := unpacked.read(BLOCK_BYTES):
                yield block
            if process.wait():
                message = trouble.read(1000).decode(errors="replace")
                raise EOFError(" ".join(message.split()))
        finally:
            process.kill()


READERS: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "xz": _xz,
    "gz": _gz,
    "zip": _zip,
    "zst": _zst,
    RAW: _raw,
}
