"""The installer, run as it runs on a device, by a real Python into a folder."""

import ast
import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.deploy import install
from edge_fer.deploy.release import INSTALLER
from edge_fer.deploy.signature import allowed_signers, sign
from tests.deploy.devices import make_release
from tests.deploy.server import make_key

SYSTEMCTL = shutil.which("systemctl")


def release_id(release: Path) -> str:
    return json.loads((release / "release.json").read_text())["id"]


@pytest.fixture
def changed(releases, tmp_path) -> Path:
    """A copy of a release, to be spoiled."""
    return Path(shutil.copytree(releases["2.0"], tmp_path / "changed"))


def test_first_install(device, releases):
    code, document = device.install(releases["1.0"])
    assert (code, document["action"]) == (0, "installed")
    assert document["current"] == release_id(releases["1.0"])
    assert document["previous"] is None
    assert device.version() == "1.0"
    assert device.running() == "active edge-fer 1.0"
    assert (device.home / "current/bundle/manifest.json").is_file()
    arguments = json.loads((device.home / "current/arguments.json").read_text())
    assert arguments[:3] == ["camera", "--bundle", "/opt/edge-fer/current/bundle"]
    assert device.ask("--status")[1]["current"] == document["current"]


@pytest.mark.skipif(SYSTEMCTL is None, reason="systemctl is not installed")
def test_systemd_sees_the_unit_of_the_current_release(device, releases):
    device.install(releases["1.0"])
    command = [SYSTEMCTL, f"--root={device.root}", "is-enabled", "edge-fer.service"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == "enabled", done.stderr
    wants = device.root / "etc/systemd/system/multi-user.target.wants/edge-fer.service"
    assert wants.parent.joinpath(wants.readlink()).parent.resolve() == wants.parents[1]


def test_upgrade_and_rollback(device, releases):
    device.install(releases["1.0"])
    code, document = device.install(releases["2.0"])
    assert (code, device.version()) == (0, "2.0")
    assert document["previous"] == release_id(releases["1.0"])
    for version in ("1.0", "2.0"):
        code, document = device.ask("--rollback")
        assert (code, document["action"]) == (0, "rolled back")
        assert device.version() == version
        assert device.running() == f"active edge-fer {version}"


def test_no_rollback_without_an_earlier_release(installed):
    code, document = installed.ask("--rollback")
    assert code == 2
    assert "no release to go back to" in document["message"]
    assert installed.version() == "1.0"


def test_what_does_not_come_up_is_rolled_back(device, releases):
    device.install(releases["1.0"])
    device.breaks("2.0")
    code, document = device.install(releases["2.0"])
    assert (code, document["action"]) == (1, "failed")
    assert "Job failed" in document["message"]
    assert device.version() == "1.0"
    assert device.running() == "active edge-fer 1.0"


def test_a_failed_upgrade_keeps_the_earlier_previous_release(device, releases):
    device.install(releases["1.0"])
    device.install(releases["2.0"])
    device.breaks("3.0")
    assert device.install(releases["3.0"])[1]["previous"] == release_id(releases["1.0"])
    assert device.version() == "2.0"
    assert device.ask("--rollback")[0] == 0
    assert device.version() == "1.0"


def test_both_down_is_told(device, releases):
    device.install(releases["1.0"])
    device.breaks("1.0", "2.0")
    code, document = device.install(releases["2.0"])
    assert code == 1
    assert "does not come up either" in document["message"]
    assert device.version() == "1.0"


def test_a_first_release_that_does_not_come_up_stays(device, releases):
    device.breaks("1.0")
    code, document = device.install(releases["1.0"])
    assert (code, document["action"]) == (1, "failed")
    assert "no release to go back to" in document["message"]
    device.breaks()
    assert device.install(releases["1.0"])[0] == 0


def test_health_command_decides(device, releases):
    device.install(releases["1.0"])
    code, _ = device.ask("--release", str(releases["2.0"]), "--health", "echo too hot; exit 3")
    assert code == 1
    assert device.version() == "1.0"


def test_tells_what_the_service_said_last(device, releases):
    device.breaks("1.0")
    log = "printf 'starting\\ncamera: no such device\\n'"
    code, document = device.ask("--release", str(releases["1.0"]), "--log", log)
    assert code == 1
    assert "Job failed (camera: no such device)" in document["message"]


def test_a_damaged_release_is_made_anew(device, releases):
    device.install(releases["1.0"])
    device.install(releases["2.0"])
    program = device.home / "previous/venv/bin/edge-fer"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert device.install(releases["1.0"])[0] == 0
    assert device.version() == "1.0"


def test_again_changes_nothing(device, releases):
    device.install(releases["1.0"])
    restarts = device.log().count("restart edge-fer.service")
    code, document = device.install(releases["1.0"])
    assert (code, document["action"]) == (0, "unchanged")
    assert device.log().count("restart edge-fer.service") == restarts


def test_again_starts_a_service_that_is_down(device, releases):
    device.install(releases["1.0"])
    (device.root / "state").write_text("inactive\n")
    assert device.install(releases["1.0"])[1]["action"] == "installed"
    assert device.running() == "active edge-fer 1.0"


def test_three_releases_are_kept(device, releases):
    for version in ("1.0", "2.0", "3.0", "4.0"):
        device.install(releases[version])
    kept = {path.name for path in (device.home / "releases").iterdir()}
    assert kept == {release_id(releases[version]) for version in ("2.0", "3.0", "4.0")}


def test_leftovers_of_a_power_cut_are_removed(device, releases):
    half = device.home / "releases" / release_id(releases["1.0"])
    (half / "venv/bin").mkdir(parents=True)
    other = device.home / "releases/other"
    other.mkdir()
    assert device.install(releases["1.0"])[0] == 0
    assert device.version() == "1.0"
    assert not other.exists()


def spoil(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("wheels/edge_fer-2.0-py3-none-any.whl", spoil, "SHA-256"),
        ("wheels/edge_fer-2.0-py3-none-any.whl", lambda p: os.truncate(p, 100), "100 bytes"),
        ("wheels/edge_fer_part-1.0-py3-none-any.whl", Path.unlink, "is missing"),
        ("bundle/model.int8.onnx", spoil, "SHA-256"),
        ("edge-fer.service", spoil, "SHA-256"),
        ("release.json", Path.unlink, "no readable release.json"),
        ("release.json", lambda p: os.truncate(p, 100), "not a release"),
        (
            "release.json",
            lambda p: p.write_text(p.read_text().replace('"camera"', '"video"')),
            "changed after it was written",
        ),
    ],
)
def test_what_was_changed_is_refused(installed, changed, name, change, says):
    change(changed / name)
    code, document = installed.install(changed)
    assert (code, document["action"]) == (2, "refused")
    assert says in document["message"]
    assert installed.version() == "1.0"
    assert len(document["releases"]) == 1


def test_a_link_instead_of_a_file_is_refused(installed, changed, tmp_path):
    unit = changed / "edge-fer.service"
    shutil.move(unit, tmp_path / "elsewhere")
    unit.symlink_to(tmp_path / "elsewhere")
    assert "is missing" in installed.install(changed)[1]["message"]


def rewrite(release: Path, **changes: object) -> None:
    """Changes what a release says, with the id that goes with it."""
    document = {**json.loads((release / "release.json").read_text()), **changes}
    document["id"] = install.release_id(document)
    (release / "release.json").write_text(json.dumps(document))


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
def test_a_name_that_leaves_the_release_is_refused(installed, changed, name):
    rewrite(changed, files={name: {"size": 0, "sha256": ""}})
    assert "leaves the release" in installed.install(changed)[1]["message"]


def test_another_python_is_refused(installed, changed):
    rewrite(changed, python="cp27")
    code, document = installed.install(changed)
    assert code == 2
    assert "cp27" in document["message"]
    assert len(document["releases"]) == 1


def test_a_wheel_that_does_not_run_is_refused_before_the_switch(installed, changed):
    files = json.loads((changed / "release.json").read_text())["files"]
    rewrite(changed, files={n: r for n, r in files.items() if "edge_fer_part" not in n})
    code, document = installed.install(changed)
    assert code == 2
    assert "edge_fer_part" in document["message"]
    assert installed.version() == "1.0"
    assert len(list((installed.home / "releases").iterdir())) == 1


@pytest.fixture
def key(tmp_path, device) -> Path:
    """A key whose signatures the device asks for."""
    key = tmp_path / "key"
    public = make_key(key)
    signers = device.root / install.SIGNERS
    signers.parent.mkdir(parents=True)
    signers.write_text(allowed_signers(public))
    return key


def test_a_signed_release_is_installed(device, tmp_path, shipped_bundle, key):
    release = make_release(tmp_path / "signed", shipped_bundle, "5.0", key=key)
    assert device.install(release)[0] == 0


def test_without_a_signature_it_is_refused(device, releases, key):
    code, document = device.install(releases["1.0"])
    assert code == 2
    assert "not signed" in document["message"]


def test_a_signature_by_another_key_is_refused(device, changed, tmp_path, key):
    other = tmp_path / "other"
    make_key(other)
    sign(changed / "release.json", other, changed / "release.sig")
    assert "not a signature by a key" in device.install(changed)[1]["message"]


def test_a_changed_signature_is_refused(device, changed, key):
    sign(changed / "release.json", key, changed / "release.sig")
    spoil(changed / "release.sig")
    assert "not a signature by a key" in device.install(changed)[1]["message"]


def test_a_signature_of_another_text_is_refused(device, changed, key):
    sign(changed / "release.json", key, changed / "release.sig")
    rewrite(changed, arguments=["/dev/video9"])
    assert "not a signature by a key" in device.install(changed)[1]["message"]


def test_the_unit_is_there_before_the_switch(device, releases):
    """A first boot that finds ``current`` takes the unit for granted."""
    (device.root / "etc").write_text("a file where a folder should be")
    code, document = device.install(releases["1.0"])
    assert (code, document["current"]) == (2, None)


def test_two_at_once_are_refused(installed, releases):
    with (installed.home / "lock").open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        code, document = installed.install(releases["2.0"])
    assert code == 2
    assert "another installation" in document["message"]


def test_goes_on_when_nobody_listens_any_more(device, releases):
    command = device.command("--release", str(releases["1.0"]))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.wait(timeout=60)
    assert device.version() == "1.0"
    assert device.running() == "active edge-fer 1.0"


def test_needs_only_an_old_python():
    tree = ast.parse(INSTALLER.read_text(), feature_version=(3, 9))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names


@given(
    st.one_of(
        st.binary(),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.text()),
            lambda inner: st.one_of(
                st.lists(inner),
                st.dictionaries(st.sampled_from(["schema", "id", "version", "files", "x"]), inner),
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_text_is_refused(text):
    with pytest.raises(install.RefusedError):
        install.parse(text, Path("release"))
