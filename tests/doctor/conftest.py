import importlib.util
from pathlib import Path

import pytest

from edge_fer.doctor.device import Device

_spec = importlib.util.spec_from_file_location("doctor_trees", Path(__file__).parent / "trees.py")
trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(trees)

BOARDS = {
    "pi5": (trees.RASPBERRY_PI_5, trees.RASPBERRY_PI_5_SAYS, "aarch64", "3.13.5"),
    "zero": (trees.RASPBERRY_PI_ZERO_2W, trees.RASPBERRY_PI_ZERO_2W_SAYS, "aarch64", "3.11.2"),
    "jetson": (trees.JETSON_ORIN_NANO, trees.JETSON_ORIN_NANO_SAYS, "aarch64", "3.10.12"),
    "pc": (trees.PC, trees.PC_SAYS, "x86_64", "3.11.2"),
}
SOFTWARE_SAYS = {"-c": "4.14.0\n", "-m": "loads\n"}


def says(answers):
    """A ``run`` that knows commands by how they begin; Python's by their first option."""

    def run(command):
        if command[1] in SOFTWARE_SAYS and "python" in command[0]:
            return answers.get(command[1:][0], SOFTWARE_SAYS[command[1]])
        matching = [
            text for start, text in answers.items() if tuple(command)[: len(start)] == start
        ]
        return matching[0] if matching else None

    return run


@pytest.fixture
def board(tmp_path, monkeypatch):
    """Makes a device of a recorded tree, with other files, answers and rights where given."""
    monkeypatch.delenv("EDGE_FER_EMULATED", raising=False)

    def make(name, files=None, answers=None, **rights):
        tree, said, architecture, python = BOARDS[name]
        root = tmp_path / name
        for path, text in {**tree, **(files or {})}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        settings = {
            "architecture": architecture,
            "python": python,
            "is_64bit": True,
            "user": "ada",
            "groups": frozenset({"ada", "video"}),
            "versions": {"ai-edge-litert": "2.3.0", "onnxruntime": "1.31.1"},
            "has_module": lambda _: True,
            "may_open": lambda _: True,
            "disk_mb": lambda _: (20_000.0, 30_000.0),
        }
        return Device(root=root, run=says({**said, **(answers or {})}), **{**settings, **rights})

    return make
