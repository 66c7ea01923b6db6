"""Every check, both ways, on recorded trees."""

import shutil
from dataclasses import replace

import pytest

from edge_fer.doctor import cameras, machine, power, software, storage

CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"
TEMPERATURE = "sys/class/thermal/thermal_zone0/temp"
LIST = ("rpicam-hello", "--list-cameras")
TIME = ("timedatectl", "show", "--value", "--property")


def meminfo(total, available, swap_total=0, swap_free=0):
    return (
        f"MemTotal: {total} kB\nMemAvailable: {available} kB\n"
        f"SwapTotal: {swap_total} kB\nSwapFree: {swap_free} kB\n"
    )


def test_target(board):
    for name, target in (
        ("pi5", "raspberry-pi-5"),
        ("zero", "raspberry-pi-zero-2w"),
        ("jetson", "jetson-orin-nano"),
        ("pc", "generic-x86_64"),
    ):
        finding = machine.target(board(name))
        assert (finding.status, finding.found.split(":")[0]) == ("ok", target)
    assert machine.target(board("pi5", architecture="riscv64")).status == "warn"


def test_system(board):
    assert machine.system(board("pi5")).status == "ok"
    jetson = machine.system(board("jetson"))
    assert jetson.found == "Ubuntu 22.04.5 LTS, R36 (release), REVISION: 4.3, 64-bit aarch64"
    old = machine.system(board("pi5", is_64bit=False))
    assert (old.status, "64-bit image" in old.advice) == ("fail", True)


@pytest.mark.parametrize(
    ("version", "status"), [("3.10.12", "ok"), ("3.13.5", "ok"), ("3.9.2", "fail")]
)
def test_python(board, version, status):
    assert machine.python(board("pi5", python=version)).status == status


def test_emulation(board):
    assert machine.emulation(board("pi5")).status == "ok"
    assert machine.emulation(board("pc")).status == "ok"
    emulated = board("pi5", {"proc/cpuinfo": "vendor_id\t: GenuineIntel\n"})
    assert machine.emulation(emulated).status == "warn"


@pytest.mark.parametrize(
    ("check", "name"), [(machine.clock, "NTPSynchronized"), (machine.network_time, "NTP")]
)
def test_clocks_of_the_day(board, check, name):
    assert check(board("pi5")).status == "ok"
    assert check(board("zero")).status == "warn"
    assert check(board("pi5", answers={(*TIME, name): None})).status == "unknown"


def test_cameras(board):
    assert cameras.cameras(board("pi5")).found == "camera module imx708"
    assert cameras.cameras(board("zero")).found == "video0: HD Webcam: HD Webcam"
    assert cameras.cameras(board("jetson")).found == "video0: vi-output, imx219 9-0010"
    none = cameras.cameras(board("pi5", answers={LIST: "No cameras available!\n"}))
    assert (none.status, "rpicam-hello" in none.advice) == ("warn", True)
    pc = cameras.cameras(board("pc"))
    assert (pc.status, "v4l2-ctl" in pc.advice) == ("warn", True)


def test_camera_access(board):
    assert cameras.camera_access(board("zero")).status == "ok"
    assert cameras.camera_access(board("pc")).status == "unknown"
    stranger = board("zero", may_open=lambda path: path.name != "video0", groups=frozenset({"ada"}))
    finding = cameras.camera_access(stranger)
    assert (finding.status, finding.found) == (
        "fail",
        "ada may not open video0: not in group video",
    )
    assert finding.advice.startswith("sudo usermod -aG video ada")
    member = cameras.camera_access(board("zero", may_open=lambda _: False))
    assert (member.status, "chgrp" in member.advice) == ("fail", True)


@pytest.mark.parametrize(
    ("members", "status"), [("ada,edge-fer", "ok"), ("ada", "fail"), ("", "fail")]
)
def test_camera_access_of_the_service(board, members, status):
    files = {
        "etc/passwd": "root:x:0:0::/root:/bin/sh\nedge-fer:x:990:990::/:/usr/sbin/nologin\n",
        "etc/group": f"audio:x:29:edge-fer\nvideo:x:44:{members}\n",
    }
    finding = cameras.camera_access(board("zero", files))
    assert finding.status == status
    assert ("usermod -aG video edge-fer" in finding.advice) == (status == "fail")


def test_picamera2(board):
    assert cameras.picamera2(board("pi5")).status == "ok"
    missing = cameras.picamera2(board("pi5", has_module=lambda name: name != "picamera2"))
    assert (missing.status, missing.found) == ("warn", "picamera2 not found by this Python")
    assert "python3-picamera2" in missing.advice
    assert cameras.picamera2(board("pc", has_module=lambda _: False)).status == "ok"


def test_engines(board):
    fine = software.engines(board("pi5"))
    assert (fine.status, fine.found) == ("ok", "litert 2.3.0, onnxruntime 1.31.1")
    none = software.engines(board("pi5", versions={}))
    assert (none.status, none.found) == ("fail", "none installed")
    assert software.engines(board("pi5", answers={"-m": None})).status == "fail"

    device = board("pi5")
    known = device.run

    def only_litert(command):
        return None if "onnxruntime" in command else known(command)

    one = software.engines(replace(device, run=only_litert))
    assert (one.status, one.advice) == ("warn", "pip install --force-reinstall 'edge-fer[onnx]'")
    assert one.found == "litert 2.3.0, onnxruntime 1.31.1 does not load"


def test_opencv(board):
    assert software.opencv(board("pi5")).status == "ok"
    assert software.opencv(board("pi5", answers={"-c": "5.0.1\n"})).status == "ok"
    assert software.opencv(board("pi5", answers={"-c": None})).status == "fail"


def test_bundle(board, shipped_bundle):
    device = board("pi5")
    assert software.bundle(device).status == "ok"
    deployed = device.root / "opt/edge-fer/current/bundle"
    shutil.copytree(shipped_bundle, deployed)
    finding = software.bundle(device)
    assert (finding.status, str(deployed) in finding.found) == ("ok", True)
    model = deployed / "model.int8.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    broken = software.bundle(device)
    assert (broken.status, "SHA-256" in broken.found) == ("fail", True)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=3\n", "ok"),
        ("LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=4\n", "warn"),
        ("LoadState=loaded\nActiveState=inactive\nSubState=dead\nNRestarts=0\n", "warn"),
        ("LoadState=loaded\nActiveState=failed\nSubState=failed\nNRestarts=0\n", "fail"),
        ("LoadState=not-found\nActiveState=inactive\nSubState=dead\nNRestarts=0\n", "unknown"),
        (None, "unknown"),
    ],
)
def test_service(board, state, status):
    finding = software.service(board("pi5", answers={("systemctl",): state}))
    assert finding.status == status


def test_governor(board):
    assert power.governor(board("pi5")).status == "ok"
    assert power.governor(board("pc")).status == "ok"  # intel_pstate's powersave adapts
    slow = power.governor(board("zero"))
    assert (slow.status, slow.advice.split()[:2]) == ("warn", ["echo", "ondemand"])
    bare = board("pi5")
    (bare.root / CPUFREQ / "scaling_governor").unlink()
    assert power.governor(bare).status == "unknown"


def test_clocks(board):
    assert power.clocks(board("pi5")).status == "ok"
    jetson = power.clocks(board("jetson"))
    assert (jetson.status, "nvpmodel" in jetson.advice) == ("warn", True)
    zero = power.clocks(board("zero"))
    assert zero.found == "600 MHz now, 600 at most, of 1000 MHz"
    assert zero.advice.startswith("echo 1000000 | sudo tee")


@pytest.mark.parametrize(
    ("millidegrees", "status"),
    [("74900", "ok"), ("75000", "warn"), ("85000", "fail"), ("", "unknown")],
)
def test_temperature(board, millidegrees, status):
    assert power.temperature(board("pi5", {TEMPERATURE: millidegrees})).status == status


@pytest.mark.parametrize(
    ("said", "status", "word"),
    [
        ("throttled=0x0\n", "ok", ""),
        ("throttled=0x50005\n", "fail", "supply"),
        ("throttled=0x4\n", "fail", "heat sink"),
        ("throttled=0x10000\n", "warn", "supply"),
        (None, "warn", "raspi-utils"),
    ],
)
def test_throttling(board, said, status, word):
    finding = power.throttling(board("pi5", answers={("vcgencmd", "get_throttled"): said}))
    assert finding.status == status
    assert word in finding.advice


def test_throttling_elsewhere(board):
    count = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    assert power.throttling(board("pc")).status == "ok"
    assert power.throttling(board("pc", {count: "7"})).status == "warn"
    assert power.throttling(board("jetson")).status == "unknown"


def test_power(board):
    assert power.power(board("jetson")).found == "6.0 W (INA3221 VDD_IN, the whole board), mode 15W"
    assert power.power(board("pi5")).status == "unknown"


@pytest.mark.parametrize(
    ("available_kb", "status"), [(400_000, "ok"), (200_000, "warn"), (100_000, "fail")]
)
def test_memory(board, available_kb, status):
    device = board("zero", {"proc/meminfo": meminfo(426_508, available_kb)})
    assert storage.memory(device).status == status


@pytest.mark.parametrize(
    ("total_kb", "swap_total_kb", "swap_free_kb", "status"),
    [
        (8_000_000, 0, 0, "ok"),
        (426_508, 0, 0, "warn"),
        (426_508, 400_000, 300_000, "ok"),
        (8_000_000, 400_000, 100_000, "warn"),
    ],
)
def test_swap(board, total_kb, swap_total_kb, swap_free_kb, status):
    text = meminfo(total_kb, 300_000, swap_total_kb, swap_free_kb)
    assert storage.swap(board("zero", {"proc/meminfo": text})).status == status


def test_memory_that_cannot_be_read(board):
    device = board("zero", {"proc/meminfo": "?"})
    assert storage.memory(device).status == storage.swap(device).status == "unknown"


@pytest.mark.parametrize(
    ("free_mb", "total_mb", "status"),
    [
        (20_000, 30_000, "ok"),
        (2_000, 30_000, "warn"),
        (700, 4_000, "warn"),
        (150, 4_000, "fail"),
    ],
)
def test_disk(board, free_mb, total_mb, status):
    finding = storage.disk(board("pi5", disk_mb=lambda _: (free_mb, total_mb)))
    assert finding.status == status
    assert "/dev/mmcblk0p2 (SD card)" in finding.found


def test_a_disk_that_turned_read_only(board):
    device = board("pi5", {"proc/mounts": "/dev/mmcblk0p2 / ext4 ro,noatime 0 0\n"})
    finding = storage.disk(device)
    assert (finding.status, "read-only" in finding.found) == ("fail", True)
    assert "SD card" not in storage.disk(board("jetson")).found

    def fails(_):
        raise OSError(5, "Input/output error")

    assert storage.disk(board("pi5", disk_mb=fails)).status == "unknown"
