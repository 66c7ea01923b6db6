"""Writing files so that nothing is ever half there."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from edge_fer.errors import OutputError


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Lets ``write`` fill a temporary file beside ``path``, then moves it into place.

    A crash or a full disk leaves the old file, or none, but never a part of the new one.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix
        )
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            _sync(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def refuse_overwrite(path: Path, *, force: bool) -> None:
    """Raises ``OutputError`` if ``path`` exists and ``force`` was not given."""
    if path.exists() and not force:
        raise OutputError(f"{path} exists; give --force to replace it")
