"""Peak memory of one model in one engine, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

INFERENCES = 10
#: The child imports this very package, whatever lies in the current folder.
_PROGRAM = f"""
import sys
sys.path[0] = {str(Path(__file__).parents[2])!r}
from edge_fer.bench.footprint import main
main()
"""


def footprint(engine: str, content: bytes, threads: int) -> dict[str, Any]:
    """Loads a model in a new process and runs it.

    Returns:
        ``rss_mb``, peak resident memory of that process (interpreter, numpy, engine and model; no
        OpenCV), or ``None`` where the system does not tell.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, engine, str(threads)],
        input=content,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        return {"rss_mb": None}
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def main() -> None:
    """In the child: ``ENGINE THREADS`` in the arguments, the model on standard input."""
    json.dump(_measure_here(sys.argv[1], int(sys.argv[2]), sys.stdin.buffer.read()), sys.stdout)


def _measure_here(engine_name: str, threads: int, content: bytes) -> dict[str, Any]:
    import numpy as np

    from edge_fer.runtime.engines import load_engine

    engine = load_engine(engine_name, content, "model", threads=threads)
    x = np.zeros(engine.input.shape, engine.input.dtype)
    for _ in range(INFERENCES):
        engine(x)
    return {"rss_mb": _peak_rss_mb()}


def _peak_rss_mb() -> float | None:
    """The kernel's high-water mark; ``getrusage`` would include the parent's, from before exec."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes[0]) * 1024 / 1e6 if kilobytes else None
