"""A Debian 12 for arm64 with the wheel in it, and the processors that it runs on."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from edge_fer.deploy import wheelhouse
from edge_fer.resources import find_resource
from edge_fer.target import read_target
from tests.arm.cores import CORES, Core
from tests.arm.debian import PATH, need, run, unpacked_system

HERE = Path(__file__).parent
CONSTRAINTS = HERE.parents[1] / "constraints.txt"
NAMESPACES = ("--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")
OWN_BINFMT = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc"
MOUNTS = ("proc", "sys/devices/system/cpu", "site", "shared")
#: Of PrivateTest.
FACES = range(0, 3400, 17)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """An emulated machine.

    Attributes:
        name: Of its processor.
        core: Its processor.
        root: Its system.
        folder: What cpuinfo and sysfs say.
        shared: Its ``site`` and ``shared`` are what every machine sees at ``/site``, ``/shared``.
    """

    name: str
    core: Core
    root: Path
    folder: Path
    shared: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command on it."""
        enter = ["unshare", *NAMESPACES, "sh", HERE / "enter.sh", self.root, self.folder]
        return subprocess.run(
            [*enter, self.shared, self.name, *command],
            capture_output=True,
            text=True,
            timeout=280,
            env={**os.environ, "PATH": PATH},
        )

    def edge_fer(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs ``edge-fer`` on it."""
        return self.run("python3", "-m", "edge_fer", *arguments)


@pytest.fixture(scope="session")
def system() -> Path:
    """A root with Python 3.11, unpacked at most once."""
    need("mmdebstrap", "qemu-aarch64-static", "unshare")
    if subprocess.run(
        ["unshare", *NAMESPACES, "sh", "-c", OWN_BINFMT], capture_output=True
    ).returncode:
        pytest.skip("no binfmt_misc in a user namespace: it needs Linux 6.7, and leave to make one")
    root = unpacked_system("bookworm", ["python3", "libstdc++6"])
    for name in MOUNTS:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return root


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, system: Path) -> Path:
    """A folder with the packages that a release brings, and one to work in."""
    folder = tmp_path_factory.mktemp("shared")
    wheels = tmp_path_factory.mktemp("wheels")
    target = replace(read_target(find_resource("target", "generic-aarch64")), python="cp311")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CONSTRAINT", str(CONSTRAINTS))
        wheelhouse.gather(wheels, target, ["onnx"], lambda _: None)
    wheelhouse.check_tags(wheels, target)
    options = wheelhouse._options(target, wheels)
    options += ["--no-index", "--no-deps", "--no-compile", "--quiet", "--target", folder / "site"]
    run(sys.executable, "-m", "pip", "install", *options, *wheels.glob("*.whl"))
    (folder / "shared").mkdir()
    for script in ("read_faces.py", "dot_product.py"):
        shutil.copyfile(HERE / script, folder / "shared" / script)
    return folder


@pytest.fixture(scope="session", params=list(CORES))
def machine(
    request: pytest.FixtureRequest,
    system: Path,
    shared: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Machine:
    """One after the other, each of the processors."""
    name: str = request.param
    folder = tmp_path_factory.mktemp(name)
    CORES[name].describe(folder)
    return Machine(name=name, core=CORES[name], root=system, folder=folder, shared=shared)


@pytest.fixture(scope="session")
def faces(fer2013_file: Path) -> np.ndarray:
    """uint8 ``[200, 48, 48]``."""
    with np.load(fer2013_file) as arrays:
        private = np.flatnonzero(arrays["usage"] == 2)
        return arrays["images"][private[FACES]]
