import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.devices import FolderDevice, make_release
from tests.deploy.server import SshServer, missing_programs

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def memory_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose file system holds nothing else, so that to sync it takes no time."""
    if not os.access(MEMORY, os.W_OK) or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        yield tmp_path_factory.mktemp("devices")
        return
    folder = Path(tempfile.mkdtemp(dir=MEMORY, prefix="edge-fer-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def device(memory_folder: Path) -> Iterator[FolderDevice]:
    """A device where nothing is installed."""
    folder = Path(tempfile.mkdtemp(dir=memory_folder))
    yield FolderDevice(folder / "root")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def releases(memory_folder: Path, shipped_bundle: Path) -> dict[str, Path]:
    """Releases by version; tests copy them before they change them."""
    versions = ("1.0", "2.0", "3.0", "4.0")
    folder = memory_folder / "releases"
    return {v: make_release(folder / f"release-{v}", shipped_bundle, v) for v in versions}


@pytest.fixture(scope="session")
def installed(memory_folder: Path, releases: dict[str, Path]) -> FolderDevice:
    """A device with release 1.0, for tests that must not change it."""
    device = FolderDevice(memory_folder / "installed")
    assert device.install(releases["1.0"])[0] == 0
    return device


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A real ssh server of this user's own, on a port of this machine alone."""
    if missing := missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}")
    with SshServer(tmp_path_factory.mktemp("ssh")) as server:
        yield server
