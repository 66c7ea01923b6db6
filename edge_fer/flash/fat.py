"""Reading and writing files of a FAT file system inside a file or a disk."""

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, BinaryIO

from edge_fer.errors import EdgeFerError, MissingExtraError

SECTOR = 512
PIECE_BYTES = 1 << 20


class FatFullError(EdgeFerError):
    """No room for a file."""


class FatVolume:
    """A FAT file system, mounted in a ``with`` block; paths are relative to its root.

    Args:
        stream: File or disk; its position is moved.
        start_bytes: Of the file system.
        size_bytes: Of its partition.

    Raises:
        EdgeFerError: There is no FAT file system.
        MissingExtraError: fatfs-ng is not installed.
    """

    def __init__(self, stream: BinaryIO, start_bytes: int, size_bytes: int) -> None:
        try:
            from fatfs import create_extended_partition
        except ImportError as error:
            raise MissingExtraError("Writing to a FAT partition", "flash") from error
        stream.seek(start_bytes)
        _check_boot_sector(stream.read(SECTOR), size_bytes)
        self._disk = _Sectors(stream, start_bytes, size_bytes)
        self._volume = create_extended_partition(self._disk)

    def __enter__(self) -> "FatVolume":
        try:
            self._volume.mount()
        except Exception as error:
            self._volume.unmount()
            raise EdgeFerError("its FAT file system is damaged") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._volume.unmount()
        if error is None:
            self._disk.check()

    def is_file(self, path: str) -> bool:
        """Whether there is such a file."""
        return bool(self._volume.isfile(f"/{path}"))

    def names(self, folder: str = "") -> list[str]:
        """Returns what a folder holds."""
        return [str(name) for name in self._volume.listdir(f"/{folder}")]

    def read(self, path: str) -> bytes:
        """Returns the content of a small file."""
        return b"".join(self._pieces(path))

    def sha256(self, path: str) -> str:
        """Returns the digest of a file's content."""
        digest = hashlib.sha256()
        for piece in self._pieces(path):
            digest.update(piece)
        return digest.hexdigest()

    def write(self, path: str, pieces: Iterable[bytes]) -> str:
        """Writes a file, with the folders it is in, in the place of one that may be there.

        Returns:
            SHA-256 of the pieces.

        Raises:
            FatFullError: There is no room.
            EdgeFerError: The name cannot be used on it.
        """
        if not path.isascii():
            raise EdgeFerError(f"{path!r}: only ASCII names are put onto a FAT partition")
        digest = hashlib.sha256()
        try:
            self._volume.makedirs(PurePosixPath("/", path).parent.as_posix(), exist_ok=True)
            with self._volume.open(f"/{path}", "w") as file:
                for piece in pieces:
                    digest.update(piece)
                    if file.write(piece) != len(piece):
                        raise FatFullError(f"its boot partition has no room for {path}")
        except EdgeFerError:
            raise
        except Exception:  # the library's own message holds what was to be written: secrets
            raise FatFullError(f"its boot partition takes no {path}; it may be full") from None
        finally:
            self._disk.check()
        return digest.hexdigest()

    def remove_tree(self, path: str) -> None:
        """Removes a folder with all it holds, or nothing if it is not there."""
        if not self._volume.isdir(f"/{path}"):
            return
        for name in self.names(path):
            child = f"{path}/{name}"
            if self.is_file(child):
                self._volume.remove(f"/{child}")
            else:
                self.remove_tree(child)
        self._volume.rmdir(f"/{path}")

    def _pieces(self, path: str) -> Iterator[bytes]:
        from fatfs import wrapper

        handle = wrapper.FIL_Handle()
        if wrapper.pyf_open(handle, self._volume._adjust_path(f"/{path}"), wrapper.PY_FA_READ):
            raise EdgeFerError(f"there is no {path} on its boot partition")
        try:
            while True:
                failed, piece = wrapper.pyf_read(handle, PIECE_BYTES)
                self._disk.check()
                if failed:
                    raise EdgeFerError(f"{path} on its boot partition cannot be read")
                if not piece:
                    return
                yield piece
        finally:
            wrapper.pyf_close(handle)


class _Sectors:
    """What fatfs-ng reads and writes.

    It is called from C, where an exception would be lost: the first is kept for ``check``.
    """

    def __init__(self, stream: BinaryIO, start_bytes: int, size_bytes: int) -> None:
        self._stream, self._start, self._size = stream, start_bytes, size_bytes
        self._error: BaseException | None = None

    def check(self) -> None:
        """Raises what went wrong since the last call."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def ioctl_get_sector_count(self) -> int:
        return self._size // SECTOR

    def ioctl_get_sector_size(self) -> int:
        return SECTOR

    def ioctl_get_block_size(self) -> int:
        return 1

    def ioctl_sync(self) -> None:
        """Who opened the stream syncs it."""

    def read(self, sector: int, count: int) -> bytes:
        try:
            self._seek(sector, count)
            data = self._stream.read(count)
            if len(data) != count:
                raise EdgeFerError("its boot partition is cut off")
            return data
        except BaseException as error:
            self._error = self._error or error
            return bytes(count)

    def write(self, sector: int, count: int, data: bytes) -> None:
        try:
            self._seek(sector, count)
            self._stream.write(data)
        except BaseException as error:
            self._error = self._error or error

    def _seek(self, sector: int, count: int) -> None:
        if sector * SECTOR + count > self._size:
            raise EdgeFerError("its FAT file system is damaged (it leaves its partition)")
        self._stream.seek(self._start + sector * SECTOR, os.SEEK_SET)


def _check_boot_sector(sector: bytes, size_bytes: int) -> None:
    fields: tuple[Any, ...] = struct.unpack_from("<HBHB", sector.ljust(SECTOR, b"\0"), 11)
    bytes_per_sector, per_cluster, reserved, tables = fields
    is_fat = sector[510:512] == b"\x55\xaa" and b"FAT" in (sector[54:57], sector[82:85])
    if not (is_fat and per_cluster and reserved and 1 <= tables <= 2):
        raise EdgeFerError("its boot partition holds no FAT file system")
    small, large = (
        int.from_bytes(sector[19:21], "little"),
        int.from_bytes(sector[32:36], "little"),
    )
    if bytes_per_sector != SECTOR or (small or large) * SECTOR > size_bytes:
        raise EdgeFerError("its FAT file system does not fit its partition")
