import os

import pytest

from edge_fer.telemetry import EMULATION_VARIABLE, cpu_model, is_emulated, load_1min, machine


@pytest.fixture
def recorded(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nflags\t\t: fpu\n"
    )
    (tmp_path / "proc/meminfo").write_text("MemTotal:        1000000 kB\nMemFree:  5 kB\n")
    return tmp_path


def test_a_pc_is_named_by_its_processor(recorded):
    assert cpu_model(recorded) == "Some CPU @ 2.00GHz"


def test_a_board_is_named_by_its_device_tree(recorded):
    (recorded / "proc/device-tree").mkdir()
    (recorded / "proc/device-tree/model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert cpu_model(recorded) == "Raspberry Pi 5 Model B Rev 1.0"


def test_memory_is_in_megabytes_of_a_million_bytes(recorded):
    assert machine(recorded)["memory_mb"] == pytest.approx(1024)


def test_what_cannot_be_read_is_none(tmp_path, monkeypatch):
    def fail():
        raise OSError

    monkeypatch.setattr(os, "getloadavg", fail)
    assert machine(tmp_path)["cpu"] is None
    assert machine(tmp_path)["memory_mb"] is None
    assert load_1min() is None


def test_versions_hold_the_base_install(recorded):
    assert {"numpy", "ai-edge-litert"} <= set(machine(recorded)["versions"])


def test_a_plain_machine_is_not_emulated(recorded, monkeypatch):
    monkeypatch.delenv(EMULATION_VARIABLE, raising=False)
    assert not is_emulated(recorded, "x86_64")
    assert not is_emulated(recorded, "aarch64")
    assert machine(recorded)["emulated"] is False


def test_an_interpreter_for_the_own_architecture_is_emulation(recorded):
    entry = recorded / "proc/sys/fs/binfmt_misc/qemu-aarch64"
    entry.parent.mkdir(parents=True)
    entry.write_text("enabled\n")
    assert is_emulated(recorded, "aarch64")
    assert not is_emulated(recorded, "x86_64")


def test_a_foreign_cpuinfo_is_emulation(recorded):
    (recorded / "proc/cpuinfo").write_text("vendor_id\t: GenuineIntel\nmodel name\t: Xeon\n")
    assert is_emulated(recorded, "aarch64")
    assert not is_emulated(recorded, "x86_64")


def test_a_virtual_board_is_emulation(recorded):
    (recorded / "proc/device-tree").mkdir()
    (recorded / "proc/device-tree/compatible").write_bytes(b"linux,dummy-virt\0")
    assert is_emulated(recorded, "aarch64")


def test_who_knows_better_says_so(recorded, monkeypatch):
    monkeypatch.setenv(EMULATION_VARIABLE, "1")
    assert machine(recorded)["emulated"] is True
