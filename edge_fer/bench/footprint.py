"""Start and peak memory of one model in one engine, in a process of its own."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

INFERENCES = 10
STARTS = 3
#: The child imports this very package, whatever lies in the current folder.
_PROGRAM = f"""
import sys
sys.path[0] = {str(Path(__file__).parents[2])!r}
from edge_fer.bench.footprint import main
main()
"""
_KEYS = ("rss_mb", "cold_start_ms", "load_ms", "first_inference_ms")


def footprint(engine: str, content: bytes, threads: int, starts: int = STARTS) -> dict[str, Any]:
    """Loads a model in a new process and runs it, a few times.

    Returns:
        Medians over the starts, ``None`` where a value cannot be had: ``rss_mb``, peak resident
        memory of that process (interpreter, numpy, engine and model; no OpenCV); ``cold_start_ms``
        from starting the process to the first output; of it ``load_ms``, importing the engine and
        loading the model, and ``first_inference_ms``.
    """
    runs = [_start(engine, content, threads) for _ in range(starts)]
    return {key: _median([run.get(key) for run in runs]) for key in _KEYS}


def _start(engine: str, content: bytes, threads: int) -> dict[str, Any]:
    started_at_ns = time.monotonic_ns()
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, engine, str(threads)],
        input=content,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        return {}
    document: dict[str, Any] = json.loads(done.stdout)
    cold_start_ms = (document.pop("ready_at_ns") - started_at_ns) / 1e6
    return document | {"cold_start_ms": cold_start_ms if cold_start_ms > 0 else None}


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def main() -> None:
    """In the child: ``ENGINE THREADS`` in the arguments, the model on standard input."""
    content = sys.stdin.buffer.read()
    json.dump(_measure_here(sys.argv[1], int(sys.argv[2]), content), sys.stdout)


def _measure_here(engine_name: str, threads: int, content: bytes) -> dict[str, Any]:
    marks = [time.monotonic_ns()]
    from edge_fer.runtime.engines import load_engine

    engine = load_engine(engine_name, content, "model", threads=threads)
    x = np.zeros(engine.input.shape, engine.input.dtype)
    marks.append(time.monotonic_ns())
    engine(x)
    marks.append(time.monotonic_ns())
    for _ in range(INFERENCES - 1):
        engine(x)
    return {
        "rss_mb": _peak_rss_mb(),
        "load_ms": (marks[1] - marks[0]) / 1e6,
        "first_inference_ms": (marks[2] - marks[1]) / 1e6,
        "ready_at_ns": marks[2],
    }


def _peak_rss_mb() -> float | None:
    """The kernel's high-water mark; ``getrusage`` would include the parent's, from before exec."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes[0]) * 1024 / 1e6 if kilobytes else None
