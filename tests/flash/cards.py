"""Images of small cards, made by sfdisk, mkfs.vfat and mtools, and tiny releases for them."""

import gzip
import hashlib
import json
import lzma
import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from edge_fer.deploy import install

MIB = 1 << 20
BOOT_AT = MIB
ROOT_BYTES = MIB // 2
TABLES = {
    "dos": ("c", "83"),
    "gpt": ("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
}
STOCK = "console=serial0,115200 root=PARTUUID=1-02 rootfstype=ext4 rootwait quiet init=/firstboot\n"
CLOUD_INIT = {
    "cmdline.txt": STOCK.replace("quiet", "quiet ds=nocloud;i=rpi-image"),
    "config.txt": "arm_64bit=1\n",
    "user-data": "#cloud-config\n",
    "meta-data": "instance-id: rpi-image\n",
    "network-config": "network: {version: 2}\n",
}
BOOKWORM = {
    "cmdline.txt": STOCK,
    "config.txt": "arm_64bit=1\n",
    "issue.txt": "Raspberry Pi reference 2025-05-13\nGenerated using pi-gen, stage2\n",
}


def need(*programs: str) -> None:
    """Skips the test where a program is missing."""
    missing = [name for name in programs if find_program(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def find_program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def run(*command: str | Path, stdin: bytes = b"") -> bytes:
    program = find_program(str(command[0])) or str(command[0])
    words = [program, *map(str, command[1:])]
    return subprocess.run(words, input=stdin, capture_output=True, check=True).stdout


def make_card(
    path: Path,
    files: dict[str, str],
    *,
    table: str = "dos",
    boot_mib: int = 8,
    bits: int = 16,
) -> Path:
    """Writes an image: table, FAT partition with files, and a partition of noise."""
    need("sfdisk", "mkfs.vfat", "mcopy")
    boot_kind, root_kind = TABLES[table]
    sectors = boot_mib * MIB // 512
    with path.open("wb") as stream:
        stream.truncate(BOOT_AT + boot_mib * MIB + ROOT_BYTES + MIB)
    script = (
        f"label: {table}\nstart=2048, size={sectors}, type={boot_kind}\n"
        f"size={ROOT_BYTES // 512}, type={root_kind}\n"
    )
    run("sfdisk", "--quiet", path, stdin=script.encode())
    boot = path.with_suffix(".fat")
    with boot.open("wb") as stream:
        stream.truncate(boot_mib * MIB)
    run("mkfs.vfat", "-F", str(bits), "-s", "4" if bits == 12 else "1", "-n", "BOOTFS", boot)
    for name, text in files.items():
        run("mcopy", "-i", boot, "-", f"::{name}", stdin=text.encode())
    with path.open("r+b") as stream:
        stream.seek(BOOT_AT)
        stream.write(boot.read_bytes())
        stream.write(random.Random(0).randbytes(ROOT_BYTES))
    boot.unlink()
    return path


def make_release(
    folder: Path,
    *,
    python: str = "cp313",
    target: str = "raspberry-pi-5",
    wheel_bytes: int = 300_001,
) -> Path:
    """Writes a release of noise that its installer would take."""
    contents = {
        "install.py": b"print('installed')\n",
        "edge-fer.service": b"[Service]\n",
        "bundle/manifest.json": b"{}\n",
        "bundle/model.int8.tflite": random.Random(1).randbytes(70_001),
        "wheels/opencv_python_headless-4.14.0.94-cp37-abi3-manylinux_2_28_aarch64.whl": (
            random.Random(2).randbytes(wheel_bytes)
        ),
        "wheels/edge_fer-0.1.0-py3-none-any.whl": b"",
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    document = {
        "schema": install.RELEASE_SCHEMA,
        "version": "0.1.0",
        "target": target,
        "python": python,
        "system_site_packages": True,
        "groups": ["video"],
        "arguments": ["camera"],
        "files": {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in contents.items()
        },
    }
    document["id"] = install.release_id(document)
    (folder / "release.json").write_text(json.dumps(document))
    return folder


def pack(image: Path, form: str) -> Path:
    """Packs an image beside itself."""
    packed = image.with_name(f"{image.name}.{form}")
    content = image.read_bytes()
    if form == "xz":
        packed.write_bytes(lzma.compress(content, preset=0))
    elif form == "gz":
        packed.write_bytes(gzip.compress(content, 1))
    elif form == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(image.name, content)
            archive.writestr("readme.txt", "about the image")
    else:
        need("zstd")
        packed.write_bytes(run("zstd", "-qc", "-1", image))
    return packed


def mtools_read(image: Path, name: str) -> bytes:
    """Returns a file of the boot partition, as mtools reads it."""
    return run("mcopy", "-n", "-i", f"{image}@@{BOOT_AT}", f"::{name}", "-")


def mtools_names(image: Path) -> set[str]:
    """Returns the paths of all files of the boot partition, as mtools reads them."""
    lines = run("mdir", "-/", "-b", "-i", f"{image}@@{BOOT_AT}", "::").decode().splitlines()
    return {line.removeprefix("::/") for line in lines if not line.endswith("/")}


def outside(image: Path, boot_mib: int = 8) -> str:
    """Returns the digest of all but the boot partition."""
    content = image.read_bytes()
    return hashlib.sha256(content[:BOOT_AT] + content[BOOT_AT + boot_mib * MIB :]).hexdigest()
