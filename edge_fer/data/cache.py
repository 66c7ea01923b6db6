"""Parsed text kept as arrays, so that a large table is parsed once.

The cache is in ``$EDGE_FER_CACHE``, else in ``$XDG_CACHE_HOME/edge-fer`` or ``~/.cache/edge-fer``;
it may be deleted at any time.
"""

import hashlib
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from edge_fer.errors import OutputError
from edge_fer.files import write_atomic

#: Smaller files are parsed each time: that takes less than a second.
MIN_BYTES = 5_000_000

Arrays = dict[str, np.ndarray]


def cached_arrays(file: Path, parse: Callable[[Path], Arrays]) -> Arrays:
    """Returns ``parse(file)``, from the cache if this very file was parsed before.

    Args:
        file: Known by path, size and time of change.
        parse: Gives arrays of numbers or text by name; what it raises is passed on.
    """
    status = file.stat()
    if status.st_size < MIN_BYTES:
        return parse(file)
    identity = f"{file.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    key = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    entry = cache_folder() / f"{file.stem}-{key}.npz"
    with (
        suppress(OSError, ValueError, EOFError, zipfile.BadZipFile),
        entry.open("rb") as stream,
        np.load(stream, allow_pickle=False) as stored,
    ):
        return dict(stored)
    arrays = parse(file)
    with suppress(OutputError):
        write_atomic(entry, lambda path: np.savez(path, **cast(Any, arrays)))
    return arrays


def cache_folder() -> Path:
    """Where the cache is."""
    chosen = os.environ.get("EDGE_FER_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(home) / "edge-fer"
