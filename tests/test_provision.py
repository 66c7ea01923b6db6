import re
import shutil
import string
import subprocess

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer import provision
from edge_fer.deploy import install
from edge_fer.errors import EdgeFerError
from edge_fer.provision import (
    TEMPLATES,
    FirstBoot,
    cloud_init_files,
    firstrun_script,
    placeholders,
    render,
    service_unit,
    wifi_key,
)
from edge_fer.provision_quote import quote_shell, quote_systemd, quote_yaml
from edge_fer.resources import find_resource, resource_names
from edge_fer.target import read_target

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE someone\'s "laptop" $(reboot) 100%'
HASH = "$6$salt$abcDEF./"
BOOT = FirstBoot(
    hostname="robot-7",
    user="ada",
    instance_id="card-1",
    ssh_keys=(KEY,),
    password_hash=HASH,
    timezone="Europe/Vienna",
    wifi_ssid="the café",
    wifi_key="0" * 63 + "f",
    wifi_country="AT",
)
HOSTILE = st.one_of(
    st.text(
        st.sampled_from("ab\"'\\$%;#:{}[]`\n\r\t @&*!|>-\x1b\x85\u2028\ufeff\x7f"), max_size=20
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
)
SETTINGS = settings(max_examples=150, deadline=None, derandomize=True)


def target(name="raspberry-pi-5"):
    return read_target(find_resource("target", name))


def changed(**values):
    return FirstBoot(**{**BOOT.__dict__, **values})


def test_every_template_is_rendered_by_a_name_and_knows_its_values():
    assert {resource for resource, _ in TEMPLATES.values()} == set(resource_names("template"))
    for resource, _ in TEMPLATES.values():
        text = find_resource("template", resource).read_text()
        known = {*provision._VALUES, *provision._FLAGS}
        assert placeholders(text) <= known


def test_cloud_init_gets_what_was_asked():
    files = {name: yaml.safe_load(text) for name, text in cloud_init_files(BOOT).items()}
    user_data = files["user-data"]
    assert user_data["user"] == {
        "name": "ada",
        "passwd": HASH,
        "lock_passwd": False,
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "ssh_authorized_keys": [KEY],
    }
    assert (user_data["hostname"], user_data["timezone"]) == ("robot-7", "Europe/Vienna")
    assert user_data["ssh_pwauth"] is True
    unit = user_data["write_files"][0]["content"]
    assert "ExecStart=/usr/bin/python3 /boot/firmware/edge-fer/install.py --release" in unit
    wlan = files["network-config"]["network"]["wifis"]["wlan0"]
    assert wlan["regulatory-domain"] == "AT"
    assert wlan["access-points"] == {
        "the café": {"hidden": False, "password": BOOT.wifi_key},
    }
    assert files["meta-data"] == {"instance-id": "card-1", "local-hostname": "robot-7"}
    assert cloud_init_files(BOOT)["user-data"].startswith("#cloud-config\n")


def test_the_first_boot_installs_signers_where_the_installer_looks():
    unit = render("edge-fer-install.service", {"boot": "/boot/firmware"})
    (line,) = (line for line in unit.splitlines() if line.startswith("ExecStartPre="))
    assert f' /{install.SIGNERS}"' in line
    assert unit.index(line) < unit.index("ExecStart=")


def test_without_password_or_network_nothing_is_left_open():
    files = cloud_init_files(changed(password_hash="*", wifi_ssid="", wifi_key=""))
    user_data = yaml.safe_load(files["user-data"])
    assert user_data["user"]["lock_passwd"] is True
    assert user_data["ssh_pwauth"] is False
    assert "wifis" not in yaml.safe_load(files["network-config"])["network"]


@SETTINGS
@given(HOSTILE, st.lists(HOSTILE, max_size=4))
def test_yaml_reads_back_what_was_quoted(text, texts):
    document = f"a: {quote_yaml(text)}\n{quote_yaml('k' + text)}: {quote_yaml(texts)}\nz: 1\n"
    assert yaml.safe_load(document) == {"a": text, "k" + text: texts, "z": 1}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(HOSTILE, min_size=1, max_size=6))
def test_the_shell_reads_back_what_was_quoted(texts):
    script = f'set -- {quote_shell(texts)}; x={quote_shell(texts[0])}; printf \'%s\\0\' "$x" "$@"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == [texts[0], *texts]


@SETTINGS
@given(st.lists(HOSTILE, max_size=5))
def test_the_unit_keeps_its_lines_whatever_the_arguments(arguments):
    plain = service_unit(target(), ["x"]).splitlines()
    text = service_unit(target(), arguments)
    lines = text.split("\n")[:-1]
    assert len(lines) == len(plain)
    differ = [line for line, other in zip(lines, plain, strict=True) if line != other]
    assert all(line.startswith("ExecStart=/opt/edge-fer/current/venv/") for line in differ)
    assert text.isprintable() or all(c.isprintable() or c == "\n" for c in text)


ARGUMENTS = [
    "camera", "a b", 'q"q', "'", "100%", "%n", "back\\slash", ";", "tab\there",
    "line\nExecStart=/x", "é", "", "\x7f", "#no", "-", "@", "|", "$HOME ${HOME}",
]  # fmt: skip


def test_systemd_itself_reads_back_the_arguments(tmp_path):
    """Its test mode tells the command line of a unit, as it would run it."""
    manager = "/lib/systemd/systemd"
    if not shutil.which(manager) or not shutil.which("setpriv"):
        pytest.skip("no systemd here")
    unit = service_unit(target(), ARGUMENTS).replace(
        "[Service]", "DefaultDependencies=no\n[Service]", 1
    )
    said = _system_says(manager, unit, tmp_path)
    (line,) = re.findall(r"Command Line: (.*)", said)
    words = _words_of_dump(line)
    kept = [argument.replace("$", "$$") for argument in ARGUMENTS]  # until the command is run
    assert words == ["/opt/edge-fer/current/venv/bin/edge-fer", "run", *kept]


def _system_says(manager, unit, folder):
    (folder / "edge-fer.service").write_text(unit)
    for path in (folder, *folder.parents[:3]):
        path.chmod(0o777 if path == folder else path.stat().st_mode | 0o711)
    environment = {
        "SYSTEMD_UNIT_PATH": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "HOME": str(folder),
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
    }
    command = [manager, "--test", "--user", "--unit=edge-fer.service"]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run([*nobody, *command], env=environment, capture_output=True, timeout=30)
    if b"Command Line" not in done.stdout + done.stderr:
        pytest.skip("systemd's test mode does not work here")
    return (done.stdout + done.stderr).decode()


def _words_of_dump(line):
    """Undoes the quoting of systemd's dumps: C escapes within double quotes."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [plain or _unescape(quoted) for quoted, plain in words]


def _unescape(text):
    simple = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

    def one(match):
        code = match[1]
        if code[0] == "x":
            return chr(int(code[1:], 16))
        return chr(int(code, 8)) if code.isdecimal() else simple.get(code, code)

    return re.sub(r"\\(x[0-9a-f]{2}|[0-7]{3}|.)", one, text)


@pytest.mark.parametrize("name", resource_names("target"))
def test_systemd_finds_nothing_wrong_with_the_units(name, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    units = {
        "edge-fer.service": service_unit(
            target(name), ["camera", "--retry-s", "0"], groups=["video"]
        ),
        "edge-fer-install.service": render("edge-fer-install.service", {"boot": "/boot/firmware"}),
    }
    for file, text in units.items():
        runs = text.replace("/opt/edge-fer/current/venv/bin/edge-fer", "/bin/true")
        (tmp_path / file).write_text(runs)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", tmp_path / file],
            capture_output=True, text=True,
        )  # fmt: skip
        newer = re.compile(r"Unknown key( name)? '(RestartSteps|RestartMaxDelaySec)'")
        mine = [
            line for line in done.stderr.splitlines() if file in line and not newer.search(line)
        ]
        assert mine == []


def test_systemd_would_find_what_is_wrong(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    unit = tmp_path / "edge-fer.service"
    unit.write_text(service_unit(target(), ["x"]).replace("Restart=always", "Restart=sometimes"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True
    )
    assert "sometimes" in done.stderr


def test_the_service_may_open_cameras_and_little_else():
    unit = service_unit(target(), ["camera"], groups=["video", "render"])
    assert "\nDevicePolicy=closed\nDeviceAllow=char-video4linux rw\n" in unit
    assert "\nSupplementaryGroups=video render\n" in unit
    assert "\nPrivateTmp=yes\n" in unit
    jetson = service_unit(target("jetson-orin-nano"), ["csi"])
    assert "DeviceAllow" not in jetson
    assert "\nDevicePolicy=auto\n" in jetson
    assert "\nPrivateTmp=no\n" in jetson


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hostname", "a b"),
        ("hostname", "-x"),
        ("hostname", "x\n"),
        ("hostname", ""),
        ("hostname", ["x"]),
        ("hostname", True),
        ("user", "root"),
        ("user", "Ada"),
        ("user", "a:b"),
        ("password_hash", "secret password"),
        ("password_hash", ""),
        ("ssh_keys", ("-----BEGIN OPENSSH PRIVATE KEY-----",)),
        ("ssh_keys", (f"{KEY}\nssh-rsa AAAA",)),
        ("ssh_keys", ("-k",)),
        ("timezone", "../../etc/shadow"),
        ("wifi_ssid", "x" * 33),
        ("wifi_ssid", "é" * 17),
        ("wifi_ssid", "a\nb"),
        ("wifi_key", "passphrase"),
        ("wifi_country", "Austria"),
        ("wifi_hidden", "yes"),
        ("instance_id", "a\nb"),
        ("hostname", "\ud800"),
    ],
)
def test_a_value_that_must_not_be_is_refused_and_not_told(name, value):
    with pytest.raises(EdgeFerError, match=name) as caught:
        cloud_init_files(changed(**{name: value}))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ssid", ["-h", " x", "x ", "a;b", "a\\b"])
def test_a_network_that_bookworm_misreads_is_refused_there_only(ssid):
    assert cloud_init_files(changed(wifi_ssid=ssid))
    with pytest.raises(EdgeFerError, match="misread"):
        firstrun_script(changed(wifi_ssid=ssid))


def test_placeholders_missing_or_unknown_and_templates_unknown_are_errors():
    values = {"instance_id": "a", "hostname": "b"}
    with pytest.raises(EdgeFerError, match="no value for hostname"):
        render("meta-data", {"instance_id": "a"})
    with pytest.raises(EdgeFerError, match="has no color"):
        render("meta-data", {**values, "color": "red"})
    with pytest.raises(EdgeFerError, match=r"no template 'passwd'"):
        render("passwd", values)
    with pytest.raises(EdgeFerError, match="country"):
        cloud_init_files(changed(wifi_country=""))
    with pytest.raises(EdgeFerError, match="device_rules"):
        service_unit(changed_target(devices=("char-x rw\nUser=root",)), [])


def changed_target(**values):
    return type(target())(**{**target().__dict__, **values})


def test_the_key_of_a_network_is_that_of_the_standard():
    """IEEE 802.11i, annex H.4.1."""
    assert wifi_key("IEEE", "password").startswith("f42c6fc52df0ebef9ebb4b90b38a5f90")
    for bad in ("short", "x" * 64, "with\nnewline", "umläute!"):
        with pytest.raises(EdgeFerError, match="8 to 63"):
            wifi_key("IEEE", bad)


FAKE_TOOL = '#!/bin/sh\nprintf "%s\\0" "$(basename "$0")" "$@" >>"$EDGE_FER_ROOT/calls"\n'


@pytest.fixture
def card(tmp_path):
    """The parts of Raspberry Pi OS 12 that the script touches; its tools write down their calls."""
    for folder in ("boot/firmware", "etc/sudoers.d", "etc/systemd/system"):
        (tmp_path / folder).mkdir(parents=True)
    for tool in ("usr/lib/raspberrypi-sys-mods/imager_custom", "usr/lib/userconf-pi/userconf"):
        (tmp_path / tool).parent.mkdir(parents=True)
        (tmp_path / tool).write_text(FAKE_TOOL)
        (tmp_path / tool).chmod(0o755)
    (tmp_path / "boot/firmware/cmdline.txt").write_text(
        "root=PARTUUID=1-02 rootwait systemd.run=/boot/firmware/firstrun.sh "
        "systemd.run_success_action=reboot systemd.unit=kernel-command-line.target quiet\n"
    )
    return tmp_path


def first_run(card, boot):
    script = card / "boot/firmware/firstrun.sh"
    script.write_text(firstrun_script(boot))
    environment = {"EDGE_FER_ROOT": str(card), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["sh", script], env=environment, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    return (card / "boot/firmware/edge-fer-firstrun.log").read_text()


def test_the_first_run_of_bookworm_applies_everything_once(card):
    log = first_run(card, BOOT)
    calls = (card / "calls").read_text().split("\0")
    assert calls == [
        "imager_custom", "set_hostname", "robot-7",
        "imager_custom", "enable_ssh", "-p", KEY,
        "userconf", "ada", HASH,
        "imager_custom", "set_wlan", "the café", BOOT.wifi_key, "AT",
        "imager_custom", "set_timezone", "Europe/Vienna", "",
    ]  # fmt: skip
    assert "FAILED" not in log
    assert HASH not in log
    assert BOOT.wifi_key not in log
    cmdline = (card / "boot/firmware/cmdline.txt").read_text()
    assert cmdline == "root=PARTUUID=1-02 rootwait quiet\n"
    assert not (card / "boot/firmware/firstrun.sh").exists()
    units = card / "etc/systemd/system"
    expected = render("edge-fer-install.service", {"boot": "/boot/firmware"})
    assert (units / "edge-fer-install.service").read_text() == expected
    assert (units / "multi-user.target.wants/edge-fer-install.service").is_symlink()
    assert (card / "etc/sudoers.d/020_edge-fer").read_text() == "ada ALL=(ALL) NOPASSWD:ALL\n"


def test_a_first_run_without_its_tools_says_so(card):
    (card / "usr/lib/raspberrypi-sys-mods/imager_custom").unlink()
    log = first_run(card, changed(wifi_ssid="", wifi_key="", password_hash="*"))
    assert "FAILED: host name" in log
    assert "done: user" in log
    assert "Wi-Fi" not in log


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.text(
        st.characters(categories=["L", "N", "P", "S"], exclude_characters="\\;"), max_size=8
    ).filter(lambda text: text and text[0] != "-"),
    st.text(string.printable[:95], max_size=20),
)
def test_hostile_names_reach_the_tools_of_the_first_run_unchanged(tmp_path_factory, ssid, comment):
    card = tmp_path_factory.mktemp("card")
    tool = card / "tool"
    tool.write_text(FAKE_TOOL)
    tool.chmod(0o755)
    key = f"ssh-ed25519 AAAA {comment}"
    script = firstrun_script(changed(wifi_ssid=ssid, ssh_keys=(key,)))
    head = script.partition("\nboot=")[0]
    lines = f'{head}\n"$EDGE_FER_ROOT/tool" "$wifi_ssid" "$@"\n'
    subprocess.run(["sh", "-c", lines], env={"EDGE_FER_ROOT": str(card)}, check=True)
    assert (card / "calls").read_text().split("\0") == ["tool", ssid, key, ""]


def test_the_quoting_of_units_leaves_plain_words_alone():
    assert quote_systemd(["camera", "--retry-s", "0", "mqtt://host/robot"]) == (
        "camera --retry-s 0 mqtt://host/robot"
    )
