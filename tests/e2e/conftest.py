"""Runs the command line as users do: a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
CHECKPOINT = Path(__file__).parents[2] / "benchmarks/training/arch-1-taught/best.safetensors"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """``cli("run", photo)`` runs ``edge-fer run photo`` in ``tmp_path``."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "edge_fer.cli", *map(str, arguments)],
            cwd=tmp_path,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                "XDG_CACHE_HOME": str(tmp_path / "cache"),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run
