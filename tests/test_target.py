import re

import pytest

from edge_fer.errors import EdgeFerError
from edge_fer.provision import service_unit
from edge_fer.resources import find_resource, resource_names
from edge_fer.runtime.engines import ENGINES
from edge_fer.target import board_model, preferred_engines, read_target, this_target

GOOD = """
schema = "edge-fer/target/1"
description = "A board"
architectures = ["riscv64"]
engines = ["litert"]
verified = "nowhere"
cores = 4
private_tmp = false
models = ["Board"]
pythons = { trixie = "cp313" }
"""
EVERY = resource_names("target")


def recorded(root, model):
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_text(f"{model}\0")
    return root


@pytest.mark.parametrize("name", EVERY)
def test_every_shipped_profile_reads_and_is_complete(name):
    target = read_target(find_resource("target", name))
    assert target.name == name
    assert target.engines
    assert set(target.engines) <= set(ENGINES)
    assert target.python in target.pythons.values()
    assert target.disk_mb > 0
    architecture = target.architectures[0]
    assert all(re.fullmatch(rf"manylinux_?[0-9_]+_{architecture}", p) for p in target.platforms)
    assert target.platforms
    assert service_unit(target, [target.camera], groups=target.groups)


def test_the_shared_templates_are_no_target():
    assert "common" not in EVERY
    assert len(EVERY) == 6


@pytest.mark.parametrize(
    ("architecture", "model", "name"),
    [
        ("aarch64", "Raspberry Pi 5 Model B Rev 1.1", "raspberry-pi-5"),
        ("aarch64", "Raspberry Pi 500 Rev 1.0", "raspberry-pi-5"),
        ("aarch64", "Raspberry Pi Compute Module 5 Rev 1.0", "raspberry-pi-5"),
        ("aarch64", "Raspberry Pi 4 Model B Rev 1.4", "raspberry-pi-4"),
        ("aarch64", "Raspberry Pi 400 Rev 1.0", "raspberry-pi-4"),
        ("aarch64", "Raspberry Pi Zero 2 W Rev 1.0", "raspberry-pi-zero-2w"),
        ("aarch64", "Raspberry Pi 3 Model B Plus Rev 1.3", "generic-aarch64"),
        ("aarch64", "NVIDIA Jetson Orin Nano Developer Kit", "jetson-orin-nano"),
        (
            "aarch64",
            "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
            "jetson-orin-nano",
        ),
        ("aarch64", "linux,dummy-virt", "generic-aarch64"),
        ("x86_64", "Raspberry Pi 5 Model B Rev 1.0", "generic-x86_64"),
    ],
)
def test_a_machine_is_known_by_its_board_then_by_its_architecture(
    tmp_path, architecture, model, name
):
    root = recorded(tmp_path, model)
    assert board_model(root) == model
    found = this_target(root, architecture)
    assert found.name == name
    assert preferred_engines(architecture, root) == found.engines


def test_without_a_device_tree_the_architecture_decides(tmp_path):
    assert this_target(tmp_path, "aarch64").name == "generic-aarch64"
    assert this_target(tmp_path, "x86_64").name == "generic-x86_64"


def test_an_architecture_without_profile_is_said(tmp_path):
    with pytest.raises(EdgeFerError, match=r"riscv64.*raspberry-pi-5"):
        this_target(tmp_path, "riscv64")
    assert preferred_engines("riscv64", tmp_path) == ()


def test_an_architecture_prefers_the_engines_of_its_profile():
    for name in EVERY:
        target = read_target(find_resource("target", name))
        assert all(preferred_engines(architecture) for architecture in target.architectures)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("target/1", "target/2"),
        ('schema = "edge-fer/target/1"', ""),
        ('engines = ["litert"]', ""),
        ('engines = ["litert"]', "engines = 3"),
        ('engines = ["litert"]', 'engines = "litert"'),
        ('engines = ["litert"]', "engines = [1]"),
        ('description = "A board"', ""),
        ('description = "A board"', "description = 3"),
        ('description = "A board"', 'describe = "A board"'),
        ('verified = "nowhere"', "verified = "),
        ("cores = 4", 'cores = "4"'),
        ("cores = 4", "cores = true"),
        ("private_tmp = false", "private_tmp = 0"),
        ("cores = 4", 'boot = "grub"'),
        ('{ trixie = "cp313" }', "3"),
        ('{ trixie = "cp313" }', "{ trixie = 313 }"),
    ],
)
def test_a_bad_profile_is_refused_by_name(tmp_path, old, new):
    (tmp_path / "board").mkdir()
    path = tmp_path / "board" / "profile.toml"
    path.write_text(GOOD)
    assert read_target(path).name == "board"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(EdgeFerError, match="board"):
        read_target(path)
