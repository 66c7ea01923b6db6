"""Results as lines: for people on a terminal, for programs as JSON."""

import json
from typing import TextIO

from edge_fer.runtime.result import Result


class JsonLines:
    """One JSON document per frame."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, result: Result) -> None:
        """Writes and flushes one line, so that a reader sees it at once."""
        self._stream.write(json_line(result) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Leaves the stream open: it is not ours."""


class TextLines:
    """One line per frame for people; on a terminal a moving source rewrites the same line."""

    def __init__(self, stream: TextIO, *, live: bool) -> None:
        self._stream = stream
        self._end = "\x1b[K\r" if live and stream.isatty() else "\n"

    def write(self, result: Result) -> None:
        """Writes one line."""
        self._stream.write(describe(result) + self._end)
        self._stream.flush()

    def close(self) -> None:
        """Ends the line that was being rewritten."""
        if self._end != "\n":
            self._stream.write("\n")


def json_line(result: Result) -> str:
    """Returns ``result.to_dict()`` as JSON on one line, encodable in UTF-8 whatever a file's name.

    Bytes of a file name that are not UTF-8 come as JSON escapes of lone surrogates.
    """
    return _encodable(json.dumps(result.to_dict(), ensure_ascii=False))


def describe(result: Result) -> str:
    """Returns a line for people."""
    head = result.frame.name or f"{result.frame.t_s:8.2f} s"
    faces = "   ".join(f"#{f.id} {f.label} {f.score:.0%}" for f in result.faces) or "no face"
    return _encodable(f"{head}   {faces}   ({result.latency_ms['total']:.1f} ms)")


def _encodable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
