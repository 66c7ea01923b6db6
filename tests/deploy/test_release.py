"""Making releases, of tiny wheels; pip is the real one, with a folder for its index."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer import __version__
from edge_fer.bundle import Bundle
from edge_fer.deploy import preflight, wheelhouse
from edge_fer.deploy.release import build_release, extras_for, run_arguments, verify_release
from edge_fer.deploy.signature import allowed_signers
from edge_fer.deploy.ssh import HostError
from edge_fer.errors import EdgeFerError
from tests.deploy.devices import here, make_release, make_wheel, make_wheels
from tests.deploy.server import make_key

AARCH64 = {
    "architectures": ("aarch64",),
    "python": "cp310",
    "platforms": ("manylinux_2_28_aarch64", "manylinux2014_aarch64"),
}


def test_a_release_says_what_is_in_it(releases, shipped_bundle):
    release = releases["1.0"]
    document = verify_release(release)
    on_disk = {p.relative_to(release).as_posix() for p in release.rglob("*") if p.is_file()}
    assert set(document["files"]) == on_disk - {"release.json"}
    assert {"install.py", "edge-fer.service", "bundle/manifest.json"} < on_disk
    assert document["id"].startswith(f"{__version__}-")
    loaded = Bundle.load(release / "bundle")
    assert loaded.manifest == Bundle.load(shipped_bundle).manifest
    assert " run camera " in (release / "edge-fer.service").read_text().replace('"', "")


def test_the_same_content_has_the_same_id(tmp_path, shipped_bundle, releases):
    again = tmp_path / "again"
    build_release(again, target=here(), bundle=shipped_bundle, wheels=releases["1.0"] / "wheels")
    assert verify_release(again)["id"] == verify_release(releases["1.0"])["id"]


def test_raspberry_pi_sees_the_packages_of_its_system(tmp_path, shipped_bundle):
    release = make_release(
        tmp_path / "r", shipped_bundle, "1.0", target=here(boot="raspberry-pi", groups=("video",))
    )
    document = verify_release(release)
    assert document["system_site_packages"]
    assert document["groups"] == ["video"]


def test_nothing_is_overwritten_and_nothing_left_behind(tmp_path, shipped_bundle):
    folder = tmp_path / "folder"
    (folder / "there").mkdir(parents=True)
    wheels = make_wheels(tmp_path / "wheels", "1.0")
    with pytest.raises(EdgeFerError, match="exists"):
        build_release(folder / "there", target=here(), bundle=shipped_bundle, wheels=wheels)
    (wheels / "edge_fer_part-1.0-py3-none-any.whl").unlink()
    with pytest.raises(EdgeFerError, match="wheels are missing: edge-fer-part>=1"):
        build_release(folder / "new", target=here(), bundle=shipped_bundle, wheels=wheels)
    assert [path.name for path in folder.iterdir()] == ["there"]


def test_changed_releases_do_not_verify(tmp_path, releases):
    changed = Path(shutil.copytree(releases["1.0"], tmp_path / "changed"))
    (changed / "install.py").write_text("import this\n")
    with pytest.raises(EdgeFerError, match=r"install\.py"):
        verify_release(changed)


def test_signatures_are_checked_when_asked(tmp_path, shipped_bundle):
    key = tmp_path / "key"
    signers = tmp_path / "signers"
    signers.write_text(allowed_signers(make_key(key)))
    signed = make_release(tmp_path / "signed", shipped_bundle, "1.0", key=key)
    assert verify_release(signed, signers)["version"] == __version__
    (signed / "release.sig").unlink()
    with pytest.raises(EdgeFerError, match="not signed"):
        verify_release(signed, signers)
    with pytest.raises(EdgeFerError, match="no such file"):
        verify_release(signed, tmp_path / "none")


@pytest.mark.parametrize("text", ["", "ssh-rsa AAAA me", "ssh-ed25519", "ssh-ed25519 A\nroot B C"])
def test_only_an_ed25519_key_is_admitted(text):
    with pytest.raises(EdgeFerError, match="ed25519"):
        allowed_signers(text)


def test_a_key_that_is_none_cannot_sign(tmp_path, shipped_bundle):
    (tmp_path / "key").write_text("not a key")
    with pytest.raises(EdgeFerError, match="cannot sign with it"):
        make_release(tmp_path / "r", shipped_bundle, "1.0", key=tmp_path / "key")


def test_arguments_of_the_service():
    target = here(camera="picamera2")
    start = ["picamera2", "--bundle", "/opt/edge-fer/current/bundle"]
    assert run_arguments(target, [])[:3] == start
    assert run_arguments(target, ["--faces", "largest"])[-2:] == ["--faces", "largest"]
    assert run_arguments(target, ["csi", "--stats"])[0] == "csi"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--token", "x"],
        ["--token=x"],
        ["--publish", "mqtt://robot:secret@host/x"],
        ["--publish=mqtt://robot:secret@host/x"],
        ["rtsp://admin:secret@camera/1"],
    ],
)
def test_secrets_do_not_go_into_a_release(arguments):
    with pytest.raises(EdgeFerError, match="/etc/edge-fer/environment") as caught:
        run_arguments(here(), arguments)
    assert "secret" not in str(caught.value)


def test_extras_follow_from_engines_and_arguments():
    arguments = ["--publish", "mqtts://host/x", "--serve=8000"]
    assert extras_for(here(), []) == []
    both = here(engines=("litert", "onnxruntime"))
    assert extras_for(both, arguments) == ["onnx", "mqtt", "serve"]


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """The only folder where pip finds wheels."""
    folder = tmp_path / "index"
    requires = (
        'Provides-Extra: mqtt\nRequires-Dist: everywhere\nRequires-Dist: tags; extra == "mqtt"\n'
        'Requires-Dist: old-python; python_version < "3.11"\n'
        'Requires-Dist: arm; platform_machine == "aarch64"\n'
    )
    make_wheel(folder, "edge_fer", __version__, {}, metadata=requires)
    make_wheel(
        folder, "everywhere", "1.0", {}, metadata='Requires-Dist: deep; os_name == "posix"\n'
    )
    make_wheel(folder, "deep", "1.0", {})
    make_wheel(folder, "tags", "1.0", {}, tag="cp310-cp310-manylinux_2_28_aarch64")
    make_wheel(folder, "tags", "2.0", {}, tag="cp311-cp311-manylinux_2_28_x86_64")
    make_wheel(folder, "old_python", "1.0", {})
    make_wheel(folder, "arm", "1.0", {}, tag="cp38-abi3-manylinux2014_aarch64")
    shutil.copy(wheelhouse._shipped_pip(), folder)
    monkeypatch.setattr(wheelhouse, "CHECKOUT", tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_gathers_what_the_device_needs_not_this_machine(index, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    wheelhouse.gather(out, here(**AARCH64), ["mqtt"], lambda _: None)
    names = {path.name.split("-")[0] for path in out.iterdir()}
    assert names == {"edge_fer", "everywhere", "deep", "tags", "old_python", "arm", "pip"}
    assert (out / "tags-1.0-cp310-cp310-manylinux_2_28_aarch64.whl").is_file()


def test_says_which_wheel_there_is_not(index, tmp_path):
    (index / "arm-1.0-cp38-abi3-manylinux2014_aarch64.whl").unlink()
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(EdgeFerError, match=r"pip download: .*\barm\b"):
        wheelhouse.gather(out, here(**AARCH64), [], lambda _: None)


def test_ready_wheels_for_another_device_are_refused(index, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(EdgeFerError, match=r"tags-2\.0.*not for cp310"):
        wheelhouse.take(index, out, here(**AARCH64), [])


def test_a_file_that_is_no_wheel_is_refused(tmp_path):
    broken = tmp_path / "edge_fer-1.0-py3-none-any.whl"
    broken.write_text("no zip")
    with pytest.raises(EdgeFerError, match="not a readable wheel"):
        wheelhouse.missing(tmp_path, here(), [])


@pytest.mark.parametrize("changes", [{"python": ""}, {"python": "py3"}, {"platforms": ()}])
def test_a_profile_has_to_name_python_and_platforms(changes):
    with pytest.raises(EdgeFerError, match="names no python"):
        wheelhouse.python_version(here(**changes))


KEYS = ("home", "architecture", "python", "disk_mb", "memory_mb", "user_id", "rsync", "sudo")


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.text())), st.text())
def test_any_answer_is_a_host_or_an_error(pairs, rest):
    text = "\n".join([*(f"{key}={value}" for key, value in pairs), rest])
    try:
        host = preflight.parse(text)
    except HostError:
        return
    assert isinstance(host.disk_mb, int)


def test_reads_an_answer():
    host = preflight.parse(
        "home=/home/pi\narchitecture=aarch64\nuser_id=1000\npython=cp313\n"
        "disk_mb=9000\nmemory_mb=1900\nrsync=yes\nsystemd=yes\nsudo=yes\n"
    )
    assert (host.python, host.disk_mb, host.as_root) == ("cp313", 9000, "sudo -n ")
