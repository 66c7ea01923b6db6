"""Model files of others that edge-fer can use: fetched once, verified, kept in the user's cache.

Nothing is fetched unless a person asks for it. ``cached_model`` is what the camera loop calls: it
looks, and neither downloads nor imports what could.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.files import refuse_overwrite, write_atomic

TIMEOUT_S = 30
CHUNK_BYTES = 1 << 16
Progress = Callable[[int, int], None]

_log = logging.getLogger("edge_fer.fetch")


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file somewhere else.

    Attributes:
        file: Its name here.
        urls: Where it is, the preferred place first.
        sha256: Lower-case hex.
        size_bytes: Of the file.
        licence: SPDX name.
        source: Page that describes it.
    """

    file: str
    urls: tuple[str, ...]
    sha256: str
    size_bytes: int
    licence: str
    source: str


_ZOO = "opencv/opencv_zoo"
_YUNET = "models/face_detection_yunet/face_detection_yunet_2023mar.onnx"
_YUNET_COMMIT = "82b38c8f98e7b52aa171400f3e4c722352d0669f"

DOWNLOADS = {
    "yunet": Download(
        file="face_detection_yunet_2023mar.onnx",
        urls=(
            f"https://github.com/{_ZOO}/raw/main/{_YUNET}",
            f"https://media.githubusercontent.com/media/{_ZOO}/{_YUNET_COMMIT}/{_YUNET}",
        ),
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        size_bytes=232_589,
        licence="MIT",
        source=f"https://github.com/{_ZOO}/tree/main/models/face_detection_yunet",
    ),
}


def cached_model(name: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Returns a model in the user's cache, ``None`` if it is not there or not what it should be.

    Args:
        name: Key of ``DOWNLOADS``.
        environment: Tells where the cache is.
    """
    download = DOWNLOADS[name]
    path = cache_folder(environment) / download.file
    found = _sha256(path)
    if found == download.sha256:
        return path
    if found is not None:
        _log.warning("%s: not %s (its SHA-256 is %s); not used", path, name, found)
    return None


def fetch_model(
    name: str,
    *,
    out: Path | None = None,
    file: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Path:
    """Puts a model into the user's cache, from the network or from a file, and verifies it.

    Args:
        name: Key of ``DOWNLOADS``.
        out: Where to put a copy too.
        file: A file that was fetched by other means: no network is used.
        force: Replace ``out``.
        progress: Called with the bytes so far and in all.
        environment: Tells where the cache is.

    Returns:
        ``out``, or without it the file in the cache.

    Raises:
        ModelError: Unknown name, the wrong file, or no place could be reached.
        OutputError: A file cannot or must not be written.
        MissingExtraError: pooch is needed and not installed.
    """
    if name not in DOWNLOADS:
        raise ModelError(f"unknown model {name!r}; known: {', '.join(DOWNLOADS)}")
    if out is not None:
        refuse_overwrite(out, force=force)
    if file is not None:
        _take(name, file, environment)
    path = cached_model(name, environment) or _download(name, progress, environment)
    if out is None:
        return path
    write_atomic(out, lambda temporary: shutil.copyfile(path, temporary))
    return out


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Returns ``$XDG_CACHE_HOME/edge-fer``, without that variable ``~/.cache/edge-fer``."""
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "edge-fer"


def offline_help(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """Returns how to bring a model without a network on this machine, on one line."""
    download = DOWNLOADS[name]
    return (
        f"without a network, get {download.urls[0]} elsewhere (SHA-256 {download.sha256}) and give "
        f"it with 'edge-fer fetch {name} --file FILE', or put it at "
        f"{cache_folder(environment) / download.file}"
    )


def _take(name: str, file: Path, environment: Mapping[str, str]) -> None:
    """Copies a verified file into the cache."""
    download, found = DOWNLOADS[name], _sha256(file)
    if found is None:
        raise ModelError(f"{file}: no such file, or it cannot be read")
    if found != download.sha256:
        raise ModelError(f"{file}: not {name}: its SHA-256 is {found}, not {download.sha256}")
    target = cache_folder(environment) / download.file
    write_atomic(target, lambda temporary: shutil.copyfile(file, temporary))


def _download(name: str, progress: Progress | None, environment: Mapping[str, str]) -> Path:
    """Tries every place in turn."""
    pooch, download, folder = _import_pooch(), DOWNLOADS[name], cache_folder(environment)
    bar = _Bar(progress, download.size_bytes) if progress else False
    downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=CHUNK_BYTES, timeout=TIMEOUT_S)
    reasons = []
    for url in download.urls:
        reason = _retrieve(pooch, url, download, downloader, folder)
        if not reason:
            return folder / download.file
        reasons.append(f"{url.split('/')[2]}: {reason}")
    raise ModelError(
        f"{name} could not be fetched ({'; '.join(reasons)}); {offline_help(name, environment)}"
    )


def _import_pooch() -> Any:
    try:
        import pooch
    except ModuleNotFoundError:
        raise MissingExtraError("Fetching models", "fetch") from None
    pooch.get_logger().setLevel("WARNING")
    return pooch


def _retrieve(pooch: Any, url: str, download: Download, downloader: Any, folder: Path) -> str:
    """Fetches into a temporary file, which takes its place once verified; returns what failed."""
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{download.sha256}",
            fname=download.file,
            path=folder,
            downloader=downloader,
        )
    except (OSError, ValueError) as error:
        return _reason(error)
    (folder / download.file).chmod(0o644)
    return ""


class _Bar:
    """What pooch wants of a progress bar."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._done, self.total = progress, 0, total

    def update(self, count: int) -> None:
        self._done = min(self._done + count, self.total)
        self._progress(self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing is left open."""


def _reason(error: Exception) -> str:
    """The cause at the bottom: requests wraps it several times."""
    cause: Any = error
    while inner := _inner(cause):
        cause = inner
    return " ".join(str(getattr(cause, "strerror", None) or cause).split())


def _inner(error: Any) -> Any:
    parts = (getattr(error, "reason", None), error.__cause__, *error.args)
    return next((part for part in parts if isinstance(part, Exception)), None)


def _sha256(path: Path) -> str | None:
    """Of a file; ``None`` if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
