"""A card that ``edge-fer flash`` wrote is booted: from power-on to labels on the serial console.

The machine's time is counted in its own instructions, so that no timeout in it depends on how busy
this one is.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.arm.debian import need
from tests.boot.console import Console
from tests.boot.stock import make_image, make_initial_disk, stock_system, version
from tests.flash.cards import mtools_read, run

pytestmark = pytest.mark.boot
ROOT = Path(__file__).parents[2]
LOG = ROOT / "out/boot.log"
DEADLINE_S = 3600
FPS = 10
MACHINE = ("-M", "virt", "-cpu", "cortex-a72", "-m", "2048", "-icount", "shift=0")
PLAIN = ("-nic", "none", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot")
ARGUMENTS = "/boot/firmware/clip.avi --realtime --csv labels.csv --force"
CARD = ("--target", "raspberry-pi-4", "--hostname", "robot", "--user", "ada")


def edge_fer(*arguments: str | Path) -> str:
    """Runs the command here."""
    command = [sys.executable, "-m", "edge_fer", *arguments]
    variables = {**os.environ, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed release; ``key`` and ``key.pub`` are beside it."""
    need("ssh-keygen")
    folder = tmp_path_factory.mktemp("release")
    key = folder / "key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    what = ("--target", "raspberry-pi-4", "--arguments", ARGUMENTS)
    edge_fer("release", *what, "--key", key, "--out", folder / "release", "--quiet")
    return folder / "release"


@pytest.fixture(scope="module")
def clip(demo_gif: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face, again and again, for 40 s: what stands in for a camera must last for a while."""
    reader = cv2.VideoCapture(str(demo_gif))
    frames = []
    while (read := reader.read())[0]:
        frames.append(read[1])
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    size = (frames[0].shape[1], frames[0].shape[0])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, size)
    for number in range(40 * FPS):
        writer.write(frames[number % len(frames)])
    writer.release()
    return path


@pytest.fixture(scope="module")
def card(release: Path, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card that was never booted; ``initrd`` is beside it."""
    need(
        "cpio",
        "depmod",
        "mcopy",
        "mformat",
        "mke2fs",
        "mmdebstrap",
        "qemu-system-aarch64",
        "sfdisk",
    )
    folder = tmp_path_factory.mktemp("card")
    root, public = stock_system(), release.with_name("key.pub")
    make_image(folder / "stock.img", root, clip)
    make_initial_disk(folder / "initrd", root)
    keys = ("--ssh-key", public, "--signers", public)
    out = folder / "card.img"
    edge_fer("flash", folder / "stock.img", *CARD, *keys, "--release", release, "--out", out)
    return out


@pytest.fixture
def console(card: Path) -> Iterator[Console]:
    """The card in a machine that was just switched on; its firmware is what is told QEMU."""
    root = stock_system()
    kernel = ("-kernel", root / f"boot/vmlinuz-{version(root)}", "-initrd", card.parent / "initrd")
    line = ("-append", mtools_read(card, "cmdline.txt").decode().strip())
    drive = ("-drive", f"file={card},format=raw,if=virtio,cache=unsafe")
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    command = ["qemu-system-aarch64", *MACHINE, *PLAIN, *kernel, *line, *drive]
    with Console(command, LOG, DEADLINE_S) as machine:
        yield machine


def test_from_power_on_to_labels(console, release, clip):
    installed = json.loads((release / "release.json").read_text())["id"]
    told = console.wait_for(r'(\{"schema": "edge-fer/install/1".*\})')
    document = json.loads(told[1])
    assert (document["action"], document["current"]) == ("installed", installed)
    report = [console.wait_for(r"^report: (.*)")[1] for _ in range(10)]
    frames = edge_fer("run", clip, "--json", "--frames", "5").splitlines()
    labels = [face["label"] for frame in frames for face in json.loads(frame)["faces"]]
    assert labels == ["happy"] * 5
    host, groups, *rest = report
    assert host == "host robot"
    assert groups.split()[:2] == ["groups", "ada"]
    assert rest == [
        "service active as edge-fer",
        "service groups edge-fer video render",
        "ssh active",
        "restarts 0",
        "at power-on enabled",
        "signers root root 644",
        f"release releases/{installed}",
        f"labels {' '.join(labels)}",
    ]
