"""What is known of the machine that measures. What cannot be read is ``None``, never 0."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_fer.versions import installed_versions

PACKAGES = (
    "edge-fer", "numpy", "opencv-python-headless", "ai-edge-litert", "onnxruntime", "openvino",
    "tflite-runtime",
)  # fmt: skip
#: Set where emulation hides itself, as behind a made-up /proc.
EMULATION_VARIABLE = "EDGE_FER_EMULATED"


def machine(root: Path = Path("/")) -> dict[str, Any]:
    """Describes the machine.

    Args:
        root: Where ``proc`` is found; tests give a recorded tree.
    """
    return {
        "cpu": cpu_model(root),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "memory_mb": _memory_mb(root),
        "emulated": is_emulated(root),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": installed_versions(PACKAGES),
    }


def cpu_model(root: Path = Path("/")) -> str | None:
    """Returns the board's or the processor's name."""
    try:
        return (root / "proc/device-tree/model").read_text().strip("\0\n ")
    except OSError:
        return _field(root / "proc/cpuinfo", ("model name", "Hardware", "Processor"))


def is_emulated(root: Path = Path("/"), architecture: str | None = None) -> bool:
    """Whether software or a virtual board stands in for the processor: its times mean nothing.

    Signs of it: ``EDGE_FER_EMULATED``; an x86 ``cpuinfo`` under another architecture, or a
    registered interpreter for the very architecture that runs (both qemu-user); QEMU's virtual
    board (qemu-system).

    Args:
        root: Where ``proc`` is found.
        architecture: As ``platform.machine()`` says it, which it is by default.
    """
    own = architecture or platform.machine()
    foreign = not own.startswith(("x86", "i", "AMD"))
    return bool(
        os.environ.get(EMULATION_VARIABLE)
        or (foreign and _field(root / "proc/cpuinfo", ("vendor_id",)))
        or (root / f"proc/sys/fs/binfmt_misc/qemu-{own}").exists()
        or "dummy-virt" in _text(root / "proc/device-tree/compatible")
    )


def load_1min() -> float | None:
    """Returns the load average of the last minute."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _memory_mb(root: Path) -> float | None:
    text = _field(root / "proc/meminfo", ("MemTotal",))
    return int(text.split()[0]) * 1024 / 1e6 if text else None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _field(path: Path, names: Sequence[str]) -> str | None:
    lines = _text(path).splitlines()
    values = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
    return next((values[name] for name in names if values.get(name)), None)
