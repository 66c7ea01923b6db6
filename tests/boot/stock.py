"""A stock card image, as near to Raspberry Pi OS 13 as Debian 13 comes.

A FAT partition at ``/boot/firmware`` where cloud-init looks for its files, and an ext4 partition
with packages that were unpacked but never configured; systemd and cloud-init make up for that.
"""

import lzma
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.arm.debian import run, unpacked_system
from tests.flash.cards import BOOT_AT, MIB

HERE = Path(__file__).parent
PACKAGES = (
    "base-files", "base-passwd", "bash", "busybox-static", "ca-certificates", "cloud-init",
    "coreutils", "dash", "dbus", "e2fsprogs", "findutils", "grep", "hostname", "iproute2", "kmod",
    "libpam-modules", "libpam-runtime", "libpam-systemd", "libstdc++6", "linux-image-arm64",
    "login", "mawk", "mount", "netcat-openbsd", "openssh-client", "openssh-server", "passwd",
    "procps", "python3", "sed", "sudo", "systemd-sysv", "tzdata", "udev", "util-linux",
)  # fmt: skip
MODULES = ("crc32c_generic", "ext4", "virtio_blk")
BOOT_MIB, ROOT_MIB = 256, 1536
#: What scripts at installation would have done, as far as it is needed.
LINKS = {"usr/bin/nc": "nc.openbsd", "usr/bin/awk": "mawk"}
FILES = {
    "etc/machine-id": "uninitialized\n",
    "etc/hostname": "raspberrypi\n",
    "etc/shadow": "root:*:20000:0:99999:7:::\n",
    "etc/fstab": "/dev/vda2 / ext4 rw 0 0\n/dev/vda1 /boot/firmware vfat defaults 0 0\n",
    "etc/modprobe.d/card.conf": "blacklist cfg80211\n",
    "etc/cloud/cloud.cfg.d/99_card.cfg": (
        "datasource_list: [NoCloud, None]\n"
        "datasource: {NoCloud: {seedfrom: 'file:///boot/firmware/'}}\n"
    ),
    "etc/systemd/system/cloud-init-main.service.d/card.conf": (
        "[Unit]\nRequiresMountsFor=/boot/firmware\n"
    ),
    "etc/systemd/system/report.service": (
        "[Service]\nExecStart=/usr/bin/report\n[Install]\nWantedBy=multi-user.target\n"
    ),
    "etc/pam.d/common-auth": "auth required pam_unix.so\n",
    "etc/pam.d/common-account": "account required pam_unix.so\n",
    "etc/pam.d/common-password": "password required pam_unix.so\n",
    "etc/pam.d/common-session": "session required pam_unix.so\n",
}
#: What the maker of an image does once, or what a machine without a network has no use for.
MASKED = (
    "ldconfig.service", "serial-getty@ttyAMA0.service", "systemd-binfmt.service",
    "systemd-hwdb-update.service", "systemd-journal-catalog-update.service",
    "systemd-networkd-wait-online.service", "systemd-networkd.service",
    "systemd-networkd.socket",
)  # fmt: skip
BOOT_FILES = {
    "cmdline.txt": (
        "console=ttyAMA0 root=/dev/vda2 rootfstype=ext4 rootwait quiet audit=0 "
        "systemd.firstboot=no ds=nocloud;i=rpi-image\n"
    ),
    "config.txt": "arm_64bit=1\n",
    "issue.txt": "Raspberry Pi reference 2025-10-01\nDebian, for a test\n",
    "user-data": "#cloud-config\n",
    "meta-data": "instance-id: rpi-image\n",
    "network-config": "network: {version: 2}\n",
}


def stock_system() -> Path:
    """Returns the root of the system, unpacked at most once."""
    root = unpacked_system("trixie", PACKAGES)
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name, target in LINKS.items():
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    certificates = sorted(root.glob("usr/share/ca-certificates/mozilla/*.crt"))
    text = "".join(one.read_text() for one in certificates)
    (root / "etc/ssl/certs/ca-certificates.crt").write_text(text)
    (root / "boot/firmware").mkdir(exist_ok=True)
    (root / "etc/shadow").chmod(0o640)
    shutil.copyfile(HERE / "report.sh", root / "usr/bin/report")
    (root / "usr/bin/report").chmod(0o755)
    run("depmod", "-b", root, version(root))
    return root


def version(root: Path) -> str:
    """Returns that of the only kernel."""
    (folder,) = (root / "usr/lib/modules").iterdir()
    return folder.name


def make_image(path: Path, root: Path, clip: Path) -> None:
    """Writes the image; ``clip.avi`` is beside cloud-init's files."""
    table = f"label: dos\nstart=2048, size={BOOT_MIB * MIB // 512}, type=c\ntype=83\n"
    root_at = BOOT_AT + BOOT_MIB * MIB
    with path.open("wb") as stream:
        stream.truncate(root_at + ROOT_MIB * MIB)
    subprocess.run(["/usr/sbin/sfdisk", "--quiet", path], input=table, text=True, check=True)
    boot = f"{path}@@{BOOT_AT}"
    run("mformat", "-i", boot, "-F", "-T", str(BOOT_MIB * MIB // 512), "::")
    with tempfile.TemporaryDirectory() as temporary:
        for name, text in BOOT_FILES.items():
            (Path(temporary) / name).write_text(text)
        shutil.copyfile(clip, Path(temporary) / "clip.avi")
        run("mcopy", "-i", boot, *sorted(Path(temporary).iterdir()), "::")
    where = ("-E", f"offset={root_at}", path, f"{ROOT_MIB}M")
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", root, *where)


def make_initial_disk(path: Path, root: Path) -> None:
    """Writes what the kernel starts with: as much as it takes to mount the root."""
    modules = root / "usr/lib/modules" / version(root)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("bin", "dev", "new", "modules"):
            (folder / name).mkdir()
        shutil.copy(root / "usr/bin/busybox", folder / "bin/busybox")
        shutil.copy(HERE / "init", folder / "init")
        (folder / "init").chmod(0o755)
        order = load_order((modules / "modules.dep").read_text())
        for name in order:
            content = lzma.decompress((modules / f"{name}.xz").read_bytes())
            (folder / "modules" / Path(name).name).write_bytes(content)
        text = "".join(f"{Path(name).name}\n" for name in order)
        (folder / "modules/order").write_text(text)
        names = "\n".join(str(one.relative_to(folder)) for one in sorted(folder.rglob("*")))
        with path.open("wb") as stream:
            command = ["cpio", "--quiet", "-o", "-H", "newc"]
            subprocess.run(command, cwd=folder, input=names.encode(), stdout=stream, check=True)


def load_order(dependencies: str) -> list[str]:
    """Returns the paths of ``MODULES``, without ``.xz``, each after what it needs."""
    needs = dict(line.split(":") for line in dependencies.replace(".xz", "").splitlines())
    order: list[str] = []
    for module in MODULES:
        (name,) = (name for name in needs if name.endswith(f"/{module}.ko"))
        order += [one for one in [*reversed(needs[name].split()), name] if one not in order]
    return order
