"""Deploying to a real ssh server, into folders; the service manager is a script."""

import json
import os
import shutil
from pathlib import Path

import pytest

from edge_fer.deploy.bench_on import bench_on
from edge_fer.deploy.deploy import STAGING, Content, Device, deploy, roll_back
from edge_fer.deploy.ssh import Connection, HostError
from edge_fer.errors import EdgeFerError
from tests.deploy.devices import here, make_wheels


@pytest.fixture
def robot(server, device) -> Device:
    """How things are on the server: the device's folder is its root."""
    shutil.rmtree(server.home)
    server.home.mkdir()
    return Device(
        root=str(device.root), service=str(device.service), settle_s=0, ssh_config=server.config
    )


def ready(release: Path, **changes) -> Content:
    return Content(target=here(**changes), release=release)


def test_first_deployment_and_upgrade(robot, device, releases):
    lines = []
    tell = lambda host, line: lines.append((host, line))  # noqa: E731
    document = deploy(["robot"], ready(releases["1.0"]), device=robot, progress=tell)
    assert document["schema"] == "edge-fer/deploy/1"
    assert document["ok"], document
    assert [one["action"] for one in document["hosts"]] == ["installed"]
    assert ("robot", "uploading") in lines
    assert ("robot", "restarting the service") in lines
    document = deploy(["robot"], ready(releases["2.0"]), device=robot)
    assert (
        document["hosts"][0]["previous"]
        == json.loads((releases["1.0"] / "release.json").read_text())["id"]
    )
    assert device.version() == "2.0"
    json.dumps(document)


def test_makes_the_release_for_the_python_that_is_there(robot, device, shipped_bundle, tmp_path):
    wheels = make_wheels(tmp_path / "wheels", "7.0")
    content = Content(
        target=here(),
        bundle=shipped_bundle,
        wheels=wheels,
        arguments=["clip.mp4", "--faces", "all"],
    )
    assert deploy(["robot"], content, device=robot)["ok"]
    assert device.version() == "7.0"
    arguments = json.loads((device.home / "current/arguments.json").read_text())
    assert arguments[0] == "clip.mp4"
    assert arguments[-2:] == ["--faces", "all"]


def test_rolls_back_what_does_not_come_up(robot, device, releases):
    assert deploy(["robot"], ready(releases["1.0"]), device=robot)["ok"]
    device.breaks("2.0")
    document = deploy(["robot"], ready(releases["2.0"]), device=robot)
    assert not document["ok"]
    assert document["hosts"][0]["action"] == "failed"
    assert "Job failed" in document["hosts"][0]["message"]
    assert device.version() == "1.0"
    assert device.running() == "active edge-fer 1.0"


def test_rolls_back_when_asked(robot, device, releases):
    device.install(releases["1.0"])
    device.install(releases["2.0"])
    document = roll_back(["robot"], device=robot)
    assert document["ok"]
    assert document["hosts"][0]["action"] == "rolled back"
    assert device.version() == "1.0"


def test_no_rollback_where_nothing_is_installed(robot):
    document = roll_back(["robot"], device=robot)
    assert not document["ok"]
    assert document["hosts"][0]["message"] == "no release is installed there"


def test_others_are_done_when_hosts_are_down(robot, device, releases):
    hosts = ["refused", "robot", "nowhere"]
    document = deploy(hosts, ready(releases["1.0"]), device=robot)
    assert not document["ok"]
    assert [one["host"] for one in document["hosts"]] == hosts
    assert [one["ok"] for one in document["hosts"]] == [False, True, False]
    assert device.version() == "1.0"


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("nowhere", "no such host"),
        ("refused", "no ssh server answers"),
        ("changed", "ssh-keygen -R changed"),
        ("stranger", "once by hand: ssh stranger"),
        ("locked", "ssh-copy-id locked"),
    ],
)
def test_says_what_is_wrong_with_a_host_in_one_line(server, host, says):
    with Connection(host, server.config) as connection, pytest.raises(HostError) as caught:
        connection.run("true")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch x", "two words"])
def test_what_is_no_host_never_reaches_ssh(host):
    with pytest.raises(HostError, match="not a host"):
        Connection(host)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({"architectures": ("riscv64",)}, "target here is riscv64"),
        ({"python": "cp39"}, "target here has cp39"),
        ({"disk_mb": 10**9}, "1000000000 are needed"),
        ({"memory_mb": 10**9}, "600000000 are needed"),
    ],
)
def test_preflight_stops_before_anything_is_changed(robot, server, device, releases, target, says):
    document = deploy(["robot"], ready(releases["1.0"], **target), device=robot)
    assert document["hosts"][0]["action"] == "error"
    assert says in document["hosts"][0]["message"]
    assert not device.home.exists()
    assert not list(server.home.iterdir())


def test_needs_sudo_unless_root(robot, server, releases, device):
    server.program("id", 'echo "1000"')
    server.program("sudo", "exit 1")
    try:
        document = deploy(["robot"], ready(releases["1.0"]), device=robot)
        assert "sudo without a password" in document["hosts"][0]["message"]
        server.program("sudo", f'echo "$@" >> {server.folder}/sudo.log; shift; exec "$@"')
        assert deploy(["robot"], ready(releases["1.0"]), device=robot)["ok"]
        assert "install.py" in (server.folder / "sudo.log").read_text()
    finally:
        (server.programs / "id").unlink()
        (server.programs / "sudo").unlink()


def test_a_broken_upload_goes_on(robot, server, device, releases):
    """What a lost connection left is mended; nothing else is sent again."""
    staged = server.home / STAGING / "release"
    shutil.copytree(releases["2.0"], staged)
    wheel = next((staged / "wheels").glob("edge_fer-*.whl"))
    os.truncate(wheel, 100)
    (staged / "wheels/old.whl").write_text("of another release")
    kept = staged / "wheels/edge_fer_part-1.0-py3-none-any.whl"
    before = kept.stat().st_ino
    assert deploy(["robot"], ready(releases["2.0"]), device=robot)["ok"]
    assert device.version() == "2.0"
    assert kept.stat().st_ino == before
    assert not (staged / "wheels/old.whl").exists()


def test_only_the_user_may_read_what_was_uploaded(robot, server, releases):
    deploy(["robot"], ready(releases["1.0"]), device=robot)
    modes = {path.stat().st_mode & 0o077 for path in (server.home / STAGING).rglob("*")}
    assert modes == {0}


def test_a_release_that_was_changed_goes_nowhere(robot, server, releases, tmp_path):
    spoiled = Path(shutil.copytree(releases["1.0"], tmp_path / "spoiled"))
    next((spoiled / "wheels").glob("edge_fer_part*")).write_text("something else")
    with pytest.raises(EdgeFerError, match="bring the release again"):
        deploy(["robot"], ready(spoiled), device=robot)
    assert not list(server.home.iterdir())


def test_bench_on_a_device(robot, device, releases):
    device.install(releases["1.0"])
    document = bench_on("robot", ["some bundle", "--threads", "1"], device=robot)
    assert document["argv"] == ["bench", "some bundle", "--threads", "1", "--quiet", "--json"]
    asked = [line.split()[0] for line in device.log()]
    assert asked[-3:] == ["is-active", "stop", "start"]
    assert device.running() == "active edge-fer 1.0"


def test_bench_leaves_a_stopped_service_alone(robot, device, releases):
    device.install(releases["1.0"])
    (device.root / "state").write_text("inactive\n")
    bench_on("robot", device=robot)
    assert device.running() == "inactive"


def test_bench_needs_a_release(robot):
    with pytest.raises(HostError, match="first: edge-fer deploy robot"):
        bench_on("robot", device=robot)
