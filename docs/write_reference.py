"""Writes docs/cli.md from the command line's own help; ``--check`` only compares."""

import os
import subprocess
import sys
from pathlib import Path

REFERENCE = Path(__file__).parent / "cli.md"
COMMANDS = (
    "",
    "models",
    "data",
    "data info",
    "data preview",
    "data split",
    "data landmarks",
    "train",
    "sweep",
    "evaluate",
    "explain",
    "prune",
    "quantize",
    "audit",
    "bench",
    "run",
)
PLAIN = {"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "100", "TERMINAL_WIDTH": "100"}


def reference() -> str:
    """Returns the whole page."""
    parts = ["# Command-line reference\n\nWritten by `make docs`; do not edit.\n"]
    for command in COMMANDS:
        title = f"edge-fer {command}".strip()
        parts.append(f"## {title}\n\n```text\n{_help(command)}\n```\n")
    return "\n".join(parts)


def _help(command: str) -> str:
    arguments = [sys.executable, "-m", "edge_fer.cli", *command.split(), "--help"]
    environment = {**os.environ, **PLAIN}
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
    text = done.stdout.replace("python -m edge_fer.cli", "edge-fer")
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(REFERENCE.read_text() != reference() and "docs/cli.md is old: run make docs")
    REFERENCE.write_text(reference())
