"""A virtual machine that is followed by what it prints on its serial console."""

import re
import selectors
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\r\0]")


class Console:
    """Runs a virtual machine in a ``with`` block, and ends it with the block.

    Args:
        command: Of QEMU, with the console at its output.
        log: Gets every line, with the seconds since the start.
        deadline_s: After so many seconds nothing is waited for any more.
    """

    def __init__(self, command: Sequence[str | Path], log: Path, deadline_s: float) -> None:
        self._command, self._log = command, log
        self._started_s = time.monotonic()
        self._until_s = self._started_s + deadline_s
        self.lines: list[str] = []

    def __enter__(self) -> "Console":
        self._machine = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._stream = self._follow()
        return self

    def __exit__(self, *_: object) -> None:
        self._machine.kill()
        self._machine.wait()
        assert self._machine.stdout
        self._machine.stdout.close()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Returns the match in the first line after those that were waited for before."""
        for line in self._stream:
            if found := re.search(pattern, line):
                return found
        last = "\n".join(self.lines[-30:])
        raise AssertionError(f"the console did not say {pattern!r}; its last lines:\n{last}")

    def _follow(self) -> Iterator[str]:
        """Yields lines until the machine ends, or the deadline comes."""
        assert self._machine.stdout
        rest, selector = b"", selectors.DefaultSelector()
        selector.register(self._machine.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, self._until_s - time.monotonic())):
            piece = self._machine.stdout.read1(65536)
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield self._note(line.decode(errors="replace"))
            if not piece:
                return

    def _note(self, line: str) -> str:
        text = ESCAPES.sub("", line).rstrip()
        self.lines.append(text)
        with self._log.open("a") as stream:
            stream.write(f"{time.monotonic() - self._started_s:6.1f} {text}\n")
        return text
