"""Cards that come out right, for both first-boot hooks and every packing."""

import json
import stat
from pathlib import Path

import pytest

from edge_fer.flash.flash import flash
from tests.flash.cards import (
    BOOKWORM,
    BOOT_AT,
    CLOUD_INIT,
    make_card,
    make_release,
    mtools_names,
    mtools_read,
    need,
    outside,
    pack,
    run,
)
from tests.flash.conftest import PUBLIC_KEY


def never(question: str) -> str:
    raise AssertionError(f"asked: {question}")


def silent(stage: str, done: int, total: int) -> None:
    pass


def check_release(card: Path, release: Path) -> None:
    files = {p.relative_to(release).as_posix(): p for p in release.rglob("*") if p.is_file()}
    assert {f"edge-fer/{name}" for name in files} <= mtools_names(card)
    for name, path in files.items():
        assert mtools_read(card, f"edge-fer/{name}") == path.read_bytes(), name


def test_cloud_init(ask, trixie, release):
    steps = []
    document = flash(ask(), lambda *step: steps.append(step), never)
    card = ask().out
    check_release(card, release)
    assert document["hook"] == "cloud-init"
    assert mtools_read(card, "meta-data").decode() == (
        f'instance-id: "{document["instance_id"]}"\nlocal-hostname: "robot"\n'
    )
    user_data = mtools_read(card, "user-data").decode()
    assert user_data.startswith("#cloud-config\n")
    assert PUBLIC_KEY in user_data
    assert "me@laptop" not in user_data
    assert mtools_read(card, "cmdline.txt").decode() == (
        "console=serial0,115200 root=PARTUUID=1-02 rootfstype=ext4 rootwait quiet init=/firstboot "
        f"ds=nocloud;i={document['instance_id']}\n"
    )
    assert mtools_read(card, "config.txt").decode() == CLOUD_INIT["config.txt"]
    assert outside(card) == outside(trixie) == document["outside_sha256"]
    assert card.stat().st_size == trixie.stat().st_size
    for stage in ("check", "write", "verify"):
        last = [step for step in steps if step[0] == stage][-1]
        assert last[1] == last[2] == trixie.stat().st_size


def test_firstrun(ask, bookworm, release_cp311):
    document = flash(ask(image=bookworm, release=release_cp311), silent, never)
    card = ask().out
    check_release(card, release_cp311)
    assert document["hook"] == "firstrun"
    script = mtools_read(card, "firstrun.sh").decode()
    assert script.startswith("#!/bin/sh\n")
    assert "hostname='robot'" in script or "hostname=robot" in script
    words = mtools_read(card, "cmdline.txt").decode().split()
    assert words[-3:] == [
        "systemd.run=/boot/firmware/firstrun.sh",
        "systemd.run_success_action=reboot",
        "systemd.unit=kernel-command-line.target",
    ]
    assert not {"user-data", "meta-data", "network-config"} & mtools_names(card)
    assert outside(card) == outside(bookworm)


@pytest.mark.parametrize("form", ["xz", "gz", "zip", "zst"])
def test_packings(ask, trixie, tmp_path, form):
    image = tmp_path / "trixie.img"
    image.write_bytes(trixie.read_bytes())
    packed = pack(image, form)
    image.unlink()
    document = flash(ask(image=packed), silent, never)
    assert outside(ask().out) == outside(trixie)
    assert document["image"] == str(packed)
    assert "edge-fer/release.json" in mtools_names(ask().out)


@pytest.mark.parametrize(
    ("table", "mib", "bits"), [("gpt", 8, 16), ("dos", 40, 32), ("dos", 3, 12)]
)
def test_tables_and_widths(ask, tmp_path, release, table, mib, bits):
    image = make_card(tmp_path / "system.img", CLOUD_INIT, table=table, boot_mib=mib, bits=bits)
    flash(ask(image=image), silent, never)
    card = ask().out
    check_release(card, release)
    assert outside(card, mib) == outside(image, mib)
    need("fsck.vfat")
    boot = tmp_path / "boot.fat"
    boot.write_bytes(card.read_bytes()[1 << 20 : (1 + mib) << 20])
    run("fsck.vfat", "-n", boot)


def test_a_file_has_holes_where_the_image_has_zeros(ask, tmp_path, release):
    image = make_card(tmp_path / "system.img", CLOUD_INIT, boot_mib=40, bits=32)
    flash(ask(image=image), silent, never)
    kept = ask().out.stat()
    assert kept.st_size == image.stat().st_size
    assert kept.st_blocks * 512 < kept.st_size / 2


def test_secrets_go_nowhere_else(ask, tmp_path, capfd):
    need("openssl")
    password, passphrase = tmp_path / "password", tmp_path / "passphrase"
    password.write_text("correct horse\n")
    passphrase.write_text("battery staple\n")
    request = ask(
        password_file=password,
        wifi_ssid='Caf\u00e9 "5"',
        wifi_password_file=passphrase,
        wifi_country="AT",
    )
    document = flash(request, silent, never)
    hashed = mtools_read(request.out, "user-data").decode().split('passwd: "')[1].split('"')[0]
    _, scheme, rounds, salt, _ = hashed.split("$")
    assert (scheme, rounds) == ("6", "rounds=100000")
    again = run(
        "openssl", "passwd", "-6", "-salt", f"{rounds}${salt}", "-stdin", stdin=b"correct horse"
    )
    assert again.decode().strip() == hashed
    network = mtools_read(request.out, "network-config").decode()
    assert "battery staple" not in network
    assert "regulatory-domain" in network
    assert "cfg80211.ieee80211_regdom=AT" in mtools_read(request.out, "cmdline.txt").decode()
    key = network.split('password: "')[1].split('"')[0]
    told = json.dumps(document) + repr(request) + "".join(capfd.readouterr())
    for secret in ("correct horse", "battery staple", hashed, key):
        assert secret not in told
        if secret not in (hashed, key):
            assert secret.encode() not in request.out.read_bytes()
    assert stat.S_IMODE(request.out.stat().st_mode) == 0o600


@pytest.mark.parametrize("hook", ["cloud-init", "firstrun"])
def test_signers_are_on_the_card_and_installed_before_the_release(
    ask, trixie, bookworm, signed, hook
):
    image, python = {"cloud-init": (trixie, "cp313"), "firstrun": (bookworm, "cp311")}[hook]
    release, public = signed(python)
    document = flash(ask(image=image, release=release, signers=public), silent, never)
    assert (document["hook"], document["signed_only"]) == (hook, True)
    words = public.read_text().split()
    line = f'edge-fer namespaces="edge-fer" {words[0]} {words[1]}\n'
    assert mtools_read(ask().out, "edge-fer/allowed_signers").decode() == line
    check_release(ask().out, release)
    script = {"cloud-init": "user-data", "firstrun": "firstrun.sh"}[hook]
    text = mtools_read(ask().out, script).decode()
    before, _, after = text.partition("/etc/edge-fer/allowed_signers")
    assert "ExecStartPre=" in before
    assert "install.py" not in before
    assert "ExecStart=/usr/bin/python3 /boot/firmware/edge-fer/install.py" in after


def test_force_without_signers_leaves_none(ask, signed, tmp_path):
    release, public = signed("cp313")
    flash(ask(release=release, signers=public), silent, never)
    again = ask(image=ask().out, out=tmp_path / "again.img", force=True)
    assert flash(again, silent, never)["signed_only"] is False
    assert "edge-fer/allowed_signers" not in mtools_names(again.out)


def test_every_card_is_another_instance(ask, tmp_path):
    one = flash(ask(out=tmp_path / "one.img"), silent, never)
    two = flash(ask(out=tmp_path / "two.img"), silent, never)
    assert one["instance_id"] != two["instance_id"]


def test_force_replaces_an_older_customisation(ask, tmp_path, release):
    flash(ask(), silent, never)
    boot = f"{ask().out}@@{BOOT_AT}"
    run("mcopy", "-i", boot, "-", "::edge-fer/wheels/old.whl", stdin=b"of an older release")
    other = make_release(tmp_path / "other", wheel_bytes=10)
    request = ask(image=ask().out, out=tmp_path / "again.img", release=other, force=True)
    document = flash(request, silent, never)
    check_release(request.out, other)
    assert "edge-fer/wheels/old.whl" not in mtools_names(request.out)
    line = mtools_read(request.out, "cmdline.txt").decode()
    assert line.count("ds=nocloud") == 1
    assert document["instance_id"] in line


@pytest.mark.parametrize("packed", [True, False])
def test_checksum_of_either_form(ask, trixie, tmp_path, packed):
    image = tmp_path / "trixie.img"
    image.write_bytes(trixie.read_bytes())
    archive = pack(image, "gz")
    text = run("sha256sum", archive if packed else image).decode()
    (tmp_path / "trixie.img.gz.sha256").write_text(text)
    assert flash(ask(image=archive), silent, never)["checksum"] == "verified"


def test_disk(ask, trixie, release, loop_disk, tmp_path):
    disk = loop_disk(32 << 20)
    questions = []

    def confirm(question: str) -> str:
        questions.append(question)
        return str(disk)

    flash(ask(out=disk, force_fixed=True), silent, confirm)
    assert f"Type {disk}" in questions[0]
    check_release(disk, release)
    with disk.open("rb") as stream:
        content = stream.read(trixie.stat().st_size)
    copy = tmp_path / "copy.img"
    copy.write_bytes(content)
    assert outside(copy) == outside(trixie)


def test_bookworm_words_replace_older_ones():
    from edge_fer.flash.boot import new_command_line
    from edge_fer.provision import FirstBoot

    boot = FirstBoot(hostname="a", user="b", instance_id="c", wifi_country="DE")
    line = BOOKWORM["cmdline.txt"].strip() + " cfg80211.ieee80211_regdom=GB systemd.run=/x"
    once = new_command_line(line, "firstrun", boot)
    assert "=GB" not in once
    assert "/x" not in once
    assert sorted(new_command_line(once, "firstrun", boot).split()) == sorted(once.split())
