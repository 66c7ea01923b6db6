"""What must be refused, or at least be safe. Files and loop devices only."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge_fer.errors import EdgeFerError, OutputError
from edge_fer.flash import image as image_module
from edge_fer.flash.flash import flash
from edge_fer.resources import find_resource
from edge_fer.target import read_target
from tests.flash.cards import (
    BOOKWORM,
    BOOT_AT,
    CLOUD_INIT,
    MIB,
    make_card,
    make_release,
    mtools_names,
    need,
    pack,
    run,
)
from tests.flash.conftest import PUBLIC_KEY


def never(question: str) -> str:
    raise AssertionError(f"asked: {question}")


def silent(stage: str, done: int, total: int) -> None:
    pass


def refused(request, words: str, *, confirm=never, progress=silent, left=()) -> str:
    """Flashes, expects one line with these words, and nothing new beside the output."""
    folder = request.out.parent
    before = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    with pytest.raises(EdgeFerError, match=words) as caught:
        flash(request, progress, confirm)
    assert "\n" not in str(caught.value)
    if str(folder) != "/dev" and folder.is_dir():
        assert {path.name for path in folder.iterdir()} == before | set(left)
    return str(caught.value)


# The image


@pytest.mark.parametrize("form", ["xz", "gz", "zip", "zst"])
def test_truncated_archive(ask, trixie, tmp_path, form):
    image = tmp_path / "a.img"
    shutil.copyfile(trixie, image)
    packed = pack(image, form)
    packed.write_bytes(packed.read_bytes()[:-1000])
    refused(ask(image=packed), "incomplete or damaged")


@pytest.mark.parametrize("form", ["xz", "gz", "zip", "zst"])
def test_garbage_behind_archive(ask, trixie, tmp_path, form):
    image = tmp_path / "a.img"
    shutil.copyfile(trixie, image)
    packed = pack(image, form)
    packed.write_bytes(packed.read_bytes() + b"<html>not found</html>")
    refused(ask(image=packed), "incomplete or damaged")


def test_damaged_byte_in_archive(ask, trixie, tmp_path):
    image = tmp_path / "a.img"
    shutil.copyfile(trixie, image)
    packed = pack(image, "xz")
    content = bytearray(packed.read_bytes())
    content[len(content) // 2] ^= 1
    packed.write_bytes(content)
    refused(ask(image=packed), "incomplete or damaged")


def test_unknown_compression(ask, tmp_path):
    image = tmp_path / "a.img.bz2"
    image.write_bytes(b"BZh9" + bytes(1000))
    refused(ask(image=image), "bzip2 is not read here")


def test_web_page_instead_of_archive(ask, tmp_path):
    image = tmp_path / "a.img.xz"
    image.write_text("<html>404</html>")
    refused(ask(image=image), r"is not the \.xz file")


def test_zstd_program_missing(ask, trixie, tmp_path, monkeypatch):
    image = tmp_path / "a.img"
    shutil.copyfile(trixie, image)
    packed = pack(image, "zst")
    monkeypatch.setattr(image_module.shutil, "which", lambda name: None)
    refused(ask(image=packed), "needs the program zstd")


def test_zip_of_two_images(ask, trixie, tmp_path):
    import zipfile

    packed = tmp_path / "two.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(trixie, "one.img")
        archive.write(trixie, "two.img")
    refused(ask(image=packed), "no single image")


def test_no_image(ask, tmp_path):
    refused(ask(image=tmp_path / "none.img"), "No such file")


def test_folder_instead_of_image(ask, tmp_path):
    refused(ask(image=tmp_path), "directory")


def test_bad_checksum_given(ask):
    refused(ask(sha256="0" * 64), "not what its checksum says")


def test_bad_checksum_beside(ask, trixie, tmp_path):
    image = tmp_path / "a.img"
    shutil.copyfile(trixie, image)
    image.with_name("a.img.sha256").write_text(f"{'1' * 64}  a.img\n")
    refused(ask(image=image), "not what its checksum says")


def test_checksum_that_is_none(ask):
    refused(ask(sha256="12345"), "not a SHA-256")


def test_raw_image_cut_off(ask, trixie, tmp_path):
    image = tmp_path / "a.img"
    image.write_bytes(trixie.read_bytes()[: 9 * MIB + 4096])
    refused(ask(image=image), "ends in the middle")


def test_image_without_table(ask, tmp_path):
    image = tmp_path / "a.img"
    image.write_bytes(bytes(MIB))
    refused(ask(image=image), "no partition table")


def test_image_with_damaged_gpt(ask, tmp_path):
    image = make_card(tmp_path / "a.img", CLOUD_INIT, table="gpt")
    content = bytearray(image.read_bytes())
    content[1024 + 32] ^= 1
    image.write_bytes(content)
    refused(ask(image=image), r"\(GPT\) is damaged")


def test_image_without_fat_partition(ask, tmp_path):
    need("sfdisk")
    image = tmp_path / "a.img"
    image.write_bytes(bytes(4 * MIB))
    run("sfdisk", "--quiet", image, stdin=b"label: dos\nstart=2048, size=2048, type=83\n")
    refused(ask(image=image), "no FAT boot partition")


def test_boot_partition_of_ext4(ask, tmp_path):
    need("sfdisk", "mkfs.ext4")
    image = tmp_path / "a.img"
    image.write_bytes(bytes(8 * MIB))
    run("sfdisk", "--quiet", image, stdin=b"label: dos\nstart=2048, size=8192, type=c\n")
    run("mkfs.ext4", "-q", "-E", f"offset={BOOT_AT}", image, "4M")
    refused(ask(image=image), "holds no FAT file system")


def test_fat_larger_than_its_partition(ask, trixie, tmp_path):
    image = tmp_path / "a.img"
    content = bytearray(trixie.read_bytes())
    content[BOOT_AT + 19 : BOOT_AT + 21] = (60000).to_bytes(2, "little")
    image.write_bytes(content)
    refused(ask(image=image), "does not fit its partition")


def test_fat_full(ask, tmp_path):
    image = make_card(tmp_path / "a.img", CLOUD_INIT, boot_mib=3, bits=12)
    big = make_release(tmp_path / "big", wheel_bytes=3 * MIB)
    refused(ask(image=image, release=big), "no room for edge-fer/wheels")


def test_fat_full_at_the_last_file(ask, tmp_path):
    """Everything is tried on a copy: no card has the release without what starts it."""
    image = make_card(tmp_path / "a.img", CLOUD_INIT, boot_mib=3, bits=12)
    listing = run("mdir", "-i", f"{image}@@{BOOT_AT}", "::").decode().splitlines()
    cluster_bytes, beside_the_wheel = 2048, 43
    free = int("".join(filter(str.isdigit, listing[-2]))) // cluster_bytes
    outcomes = []
    for more in (-1, 0, 1, 2):
        size = (free - beside_the_wheel + more) * cluster_bytes
        release = make_release(tmp_path / f"release{more}", wheel_bytes=size)
        request = ask(image=image, release=release, out=tmp_path / f"card{more}.img")
        try:
            flash(request, silent, never)
        except EdgeFerError as error:
            outcomes.append(str(error).rpartition(" ")[2])
            assert not request.out.exists()
        else:
            outcomes.append("fits")
    assert outcomes[0] == "fits"
    assert "edge-fer-card.json" in outcomes, outcomes


def test_already_customised(ask):
    flash(ask(), silent, never)
    refused(ask(image=ask().out, out=ask().out.with_name("b.img")), "edge-fer is on it already")


def test_customised_by_somebody_else(ask, tmp_path, release_cp311):
    image = make_card(tmp_path / "a.img", {**BOOKWORM, "firstrun.sh": "#!/bin/sh\n"})
    refused(ask(image=image, release=release_cp311), "has a firstrun.sh already")


@pytest.mark.parametrize(
    "files",
    [
        {"config.txt": ""},
        {"cmdline.txt": "quiet\n"},
        {**BOOKWORM, "issue.txt": "Raspberry Pi reference 2022-09-22\n"},
        {name: text for name, text in CLOUD_INIT.items() if name != "cmdline.txt"},
    ],
    ids=["empty", "unknown", "too old", "no command line"],
)
def test_unknown_system(ask, tmp_path, files):
    refused(ask(image=make_card(tmp_path / "a.img", files)), "neither cloud-init's files nor")


def test_ubuntu_takes_cloud_init_but_has_another_python(ask, tmp_path):
    readme = "An overview of the files (...) used by the Ubuntu boot process is as follows:\n"
    image = make_card(tmp_path / "a.img", {**CLOUD_INIT, "README": readme})
    refused(ask(image=image), "it is Ubuntu, .* edge-fer deploy")


def test_command_line_of_two_lines(ask, tmp_path):
    image = make_card(tmp_path / "a.img", {**CLOUD_INIT, "cmdline.txt": "quiet\nsplash\n"})
    refused(ask(image=image), "not one line")


def test_image_changes_meanwhile(ask, trixie, tmp_path):
    image = tmp_path / "a.img"
    shutil.copyfile(trixie, image)

    def progress(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("check", total):
            with image.open("r+b") as stream:
                stream.seek(BOOT_AT + 9 * MIB)
                stream.write(b"changed")

    refused(ask(image=image), "changed while it was read", progress=progress)


# What is put in


def test_changed_release(ask, release, tmp_path):
    other = shutil.copytree(release, tmp_path / "other")
    (other / "bundle/manifest.json").write_bytes(b"[]\n")
    refused(ask(release=other), "not what was released")


def test_stray_file_in_release_stays_home(ask, release, tmp_path):
    other = shutil.copytree(release, tmp_path / "other")
    (other / "id_ed25519").write_text("a secret that was left there")
    flash(ask(release=other), silent, never)
    assert not any("id_ed25519" in name for name in mtools_names(ask().out))


def test_release_that_the_signers_did_not_sign(ask, release, signed, tmp_path):
    good, public = signed("cp313")
    other = tmp_path / "other.pub"
    other.write_text(f"{PUBLIC_KEY} me\n")
    words = rf"release.sig: not a signature by a key of {other} \("
    refused(ask(release=good, signers=other), words)
    refused(ask(release=release, signers=public), f"not signed, and {public} asks")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ('edge-fer namespaces="edge-fer" ssh-ed25519 AAAA', "not a public ssh key"),
        (
            f"{PUBLIC_KEY} me\necdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=",
            "not an ed25519",
        ),
    ],
    ids=["empty", "private", "allowed_signers", "ecdsa"],
)
def test_signers_that_are_none(ask, tmp_path, text, words):
    file = tmp_path / "signers"
    file.write_text(text)
    refused(ask(signers=file), words)


def test_release_for_another_target(ask, tmp_path):
    other = make_release(tmp_path / "other", target="raspberry-pi-4")
    refused(ask(release=other), "is for raspberry-pi-4, not for raspberry-pi-5")


def test_release_for_another_python(ask, bookworm):
    refused(ask(image=bookworm), r"\(bookworm\) needs a release for cp311, not for cp313")


@pytest.mark.parametrize(
    ("target", "words"),
    [("jetson-orin-nano", "firmware and image must match.*edge-fer deploy ada@robot")],
)
def test_jetson(ask, target, words):
    with pytest.raises(EdgeFerError, match=words):
        ask(target=read_target(find_resource("target", target)))


def test_private_key(ask, tmp_path):
    key = tmp_path / "id"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    message = refused(ask(ssh_key=key), "a private key; give the public one")
    assert "abc" not in message


def test_half_of_the_wifi(ask):
    with pytest.raises(EdgeFerError, match="needs all of --wifi-ssid"):
        ask(wifi_ssid="home")


@pytest.mark.parametrize(
    "changes", [{"hostname": "no_such.host"}, {"user": "root"}, {"timezone": "UTC; reboot"}]
)
def test_values_that_are_none(ask, changes):
    def progress(stage: str, done: int, total: int) -> None:
        raise AssertionError("the image was read before the values were checked")

    refused(ask(**changes), "must be", progress=progress)


@pytest.mark.parametrize("text", ["short\n", "", "two\nlines\n"])
def test_unusable_password_is_not_told(ask, tmp_path, text):
    file = tmp_path / "password"
    file.write_text(text)
    message = refused(ask(password_file=file), "password")
    assert "short" not in message
    assert "lines\n" not in message


# Where it is written


def test_existing_file(ask):
    out = ask().out
    out.write_text("mine")
    refused(ask(), "exists; give --force")
    assert out.read_text() == "mine"


def test_failure_keeps_the_file_that_force_would_replace(ask):
    out = ask().out
    out.write_text("mine")
    refused(ask(force=True, sha256="0" * 64), "checksum")
    assert out.read_text() == "mine"


def test_symlinked_output(ask, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    ask().out.symlink_to(victim)
    refused(ask(force=True), "a link; give what it leads to")
    assert victim.read_text() == "mine"


def test_output_is_the_image(ask, trixie, tmp_path):
    image = tmp_path / "a.img"
    shutil.copyfile(trixie, image)
    refused(ask(image=image, out=image, force=True), "is the image itself")
    os.link(image, tmp_path / "b.img")
    refused(ask(image=image, out=tmp_path / "b.img", force=True), "is the image itself")


def test_output_is_a_folder(ask, tmp_path):
    refused(ask(out=tmp_path, force=True), "neither a file nor a disk")


def test_output_is_a_pipe(ask, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(ask(out=tmp_path / "pipe", force=True), "neither a file nor a disk")


def test_output_is_a_character_device(ask):
    refused(ask(out=Path("/dev/null"), force=True), "neither a file nor a disk")


def test_mistyped_disk(ask):
    refused(ask(out=Path("/dev/sdzzz")), "no such disk")
    assert not Path("/dev/sdzzz").exists()


def test_output_in_no_folder(ask, tmp_path):
    refused(ask(out=tmp_path / "none" / "card.img"), "no such folder")


def test_no_room_for_the_file(ask, monkeypatch):
    from edge_fer.flash import output

    usage = shutil.disk_usage("/")
    monkeypatch.setattr(output.shutil, "disk_usage", lambda path: usage._replace(free=1000))
    refused(ask(), "too small")


def test_disk_fills_up_while_writing(ask, trixie, tmp_path):
    """The kernel's own limit stands in for a full disk."""
    script = (
        "import resource, signal, sys\n"
        "from tests.flash.test_hostile import flash_in_child\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9 << 20, 9 << 20))\n"
        "flash_in_child(sys.argv[1])\n"
    )
    done = _child(script, _described(ask))
    assert done.returncode == 2, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert not list(tmp_path.glob("*card.img*"))


def test_interrupt_while_writing_a_file(ask, tmp_path):
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "write":
            signal.raise_signal(signal.SIGINT)

    refused(ask(), "interrupted; nothing is left of it", progress=progress)


def test_interrupt_while_writing_a_disk(ask, loop_disk):
    def progress(stage: str, done: int, total: int) -> None:
        if stage == "write":
            signal.raise_signal(signal.SIGINT)

    request = ask(out=loop_disk(32 * MIB), force_fixed=True, yes=True)
    refused(request, "interrupted; what is on it now is unusable", progress=progress)


def test_medium_that_loses_bytes(ask, tmp_path):
    def progress(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("write", total):
            (file,) = tmp_path.glob(".card.img.*")
            with file.open("r+b") as stream:
                stream.seek(9 * MIB + 1000)
                stream.write(b"lost")

    message = refused(ask(), "what was read back is not what was written", progress=progress)
    assert "do not trust" in message


def test_mounted_disk(ask, loop_disk, tmp_path):
    need("mkfs.ext4", "mount")
    disk = loop_disk(32 * MIB)
    run("mkfs.ext4", "-q", disk)
    point = tmp_path / "mounted here"
    point.mkdir()
    try:
        run("mount", disk, point)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no mounts here ({error.stderr.decode()})")
    try:
        refused(ask(out=disk, force_fixed=True, yes=True), "in use .*mounted here.*unmount")
    finally:
        run("umount", point)


def test_disk_in_exclusive_use(ask, loop_disk):
    disk = loop_disk(32 * MIB)
    handle = os.open(disk, os.O_RDONLY | os.O_EXCL)
    try:
        refused(ask(out=disk, force_fixed=True, yes=True), "cannot be opened: .*busy")
    finally:
        os.close(handle)


def test_short_card(ask, loop_disk):
    refused(ask(out=loop_disk(8 * MIB), force_fixed=True, yes=True), "too small, has 8 MB")


def test_read_only_disk(ask, loop_disk):
    disk = loop_disk(32 * MIB, "--read-only")
    refused(ask(out=disk, force_fixed=True, yes=True), "read-only; look at the card's switch")


def test_fixed_disk(ask, loop_disk):
    refused(ask(out=loop_disk(32 * MIB), yes=True), "--force-fixed if you are sure")


@pytest.mark.parametrize("answer", ["", "y", "yes", "/dev/loop"])
def test_disk_not_confirmed(ask, loop_disk, answer):
    disk = loop_disk(32 * MIB)
    refused(ask(out=disk, force_fixed=True), "not confirmed", confirm=lambda question: answer)
    with disk.open("rb") as stream:
        assert not stream.read(MIB).strip(b"\0")


def _described(ask) -> str:
    request = ask()
    paths = {name: str(getattr(request, name)) for name in ("image", "out", "release", "ssh_key")}
    return json.dumps(paths)


def _child(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", script, *arguments]
    root = Path(__file__).parents[2]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )


def flash_in_child(described: str) -> None:
    """Flashes in a process of its own: exit code 2 and the message if it is refused."""
    from edge_fer.flash.request import FlashRequest

    paths = {name: Path(path) for name, path in json.loads(described).items()}
    target = read_target(find_resource("target", "raspberry-pi-5"))
    try:
        flash(FlashRequest(target=target, hostname="robot", user="ada", **paths), silent, never)
    except OutputError as error:
        sys.stderr.write(str(error))
        sys.exit(2)
