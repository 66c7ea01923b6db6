"""What is written to: a new file, or a whole disk that nobody uses."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge_fer.errors import EdgeFerError, OutputError
from edge_fer.flash.disks import ROOT, Disk, read_disk, refuse_disk


def check_output(
    out: Path, image: Path, *, force: bool, force_fixed: bool, root: Path = ROOT
) -> Disk | None:
    """Returns what is known of the disk that is to be written to; ``None``: it is a file.

    Args:
        out: File or disk.
        image: What is read.
        force: Replace an existing file.
        force_fixed: Take a disk that is neither a card nor on USB.
        root: Where ``sys`` and ``proc`` are found.

    Raises:
        OutputError: It must not be written to.
    """
    if out.is_symlink():
        raise OutputError(f"{out}: a link; give what it leads to, {out.resolve()}")
    if out.exists() and image.exists() and out.samefile(image):
        raise OutputError(f"{out}: is the image itself")
    if out.is_block_device():
        if out.absolute().parent != Path("/dev"):
            raise OutputError(f"{out}: give the disk by its name in /dev")
        disk = read_disk(out.name, root)
        refuse_disk(disk, force_fixed=force_fixed)
        return disk
    _check_file(out, force=force)
    return None


def check_room(out: Path, disk: Disk | None, size_bytes: int) -> None:
    """Raises ``OutputError`` if so many bytes do not fit."""
    room = disk.size_bytes if disk else shutil.disk_usage(out.parent).free
    if room < size_bytes:
        raise OutputError(
            f"{out}: too small, has {room / 1e6:.0f} MB for an image of {size_bytes / 1e6:.0f} MB"
        )


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file, only for its owner, that appears at ``path`` at the end, or not at all.

    Raises:
        OutputError: It cannot be written, or was interrupted.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "r+b") as stream:
            yield stream
            sync(stream)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    except KeyboardInterrupt as error:
        raise OutputError(f"{path}: interrupted; nothing is left of it") from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


@contextmanager
def open_disk(path: Path) -> Iterator[BinaryIO]:
    """Opens a disk, which the kernel refuses while anything on it is mounted.

    Raises:
        OutputError: It cannot be opened; or what went wrong, and that the disk is now unusable.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"{path}: cannot be opened: {error.strerror}") from error
    try:
        with os.fdopen(handle, "r+b") as stream:
            yield stream
            sync(stream)
    except (OSError, EdgeFerError, KeyboardInterrupt) as error:
        why = error.strerror if isinstance(error, OSError) else str(error) or "interrupted"
        raise OutputError(
            f"{path}: {why}; what is on it now is unusable: flash it again"
        ) from error


def sync(stream: BinaryIO) -> None:
    """Has everything on the medium, and the next reads come from there."""
    stream.flush()
    os.fsync(stream.fileno())
    os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def append_sparsely(stream: BinaryIO, block: bytes) -> None:
    """Adds a block to a new file, of zeros as a hole; ``truncate`` ends the file where it ends."""
    if block.strip(b"\0"):
        stream.write(block)
    else:
        stream.seek(len(block), os.SEEK_CUR)


def _check_file(path: Path, *, force: bool) -> None:
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise OutputError(f"{path}: neither a file nor a disk")
    if path.absolute().is_relative_to("/dev"):
        raise OutputError(f"{path}: no such disk")
    if path.exists() and not force:
        raise OutputError(f"{path} exists; give --force to replace it")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent}: no such folder")
