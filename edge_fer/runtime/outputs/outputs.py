"""All outputs of a run: one that fails does not take the others along."""

import logging
from contextlib import ExitStack
from pathlib import Path

from edge_fer.errors import OutputError
from edge_fer.runtime.outputs.sinks import Sink
from edge_fer.runtime.result import Result

_log = logging.getLogger("edge_fer.outputs")


class Outputs:
    """Sinks by name, in the order in which they get results.

    Args:
        carry_on: Whether the run goes on without a sink that fails, as long as one is left: right
            for a camera, whose frames do not come back, and wrong for a file, which can be read
            again.

    Attributes:
        failures: What became of sinks that failed, one line each.
    """

    def __init__(self, *, carry_on: bool) -> None:
        self._sinks: dict[str, Sink] = {}
        self._carry_on = carry_on
        self.failures: list[str] = []

    def add(self, name: str, sink: Sink) -> None:
        """Takes a sink, and the duty to close it."""
        self._sinks[name] = sink

    def write(self, result: Result) -> None:
        """Gives a result to every sink.

        Raises:
            OutputError: A sink failed, and it was the last one or the run is not to go on.
        """
        for name, sink in tuple(self._sinks.items()):
            self._write(name, sink, result)

    def close(self) -> None:
        """Finishes every sink.

        Raises:
            OutputError: One could not be finished; the others are all the same.
        """
        with ExitStack() as stack:
            for sink in self._sinks.values():
                stack.callback(sink.close)
            self._sinks.clear()

    def _write(self, name: str, sink: Sink, result: Result) -> None:
        try:
            sink.write(result)
        except OutputError as error:
            self._give_up(name, error)

    def _give_up(self, name: str, error: OutputError) -> None:
        if not self._carry_on or len(self._sinks) == 1:
            raise error
        _log.error("%s; the run goes on without it", error)
        self.failures.append(str(error))
        try:
            self._sinks.pop(name).close()
        except OutputError as again:
            _log.error("%s", again)


def parse_listen(text: str) -> tuple[str, int]:
    """Reads ``[HOST:]PORT`` of ``--serve``; the host is this machine alone if none is given.

    Raises:
        OutputError: Not such a text.
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal():
        raise OutputError(f"--serve {text}: give a port, or HOST:PORT, e.g. 8000 or 0.0.0.0:8000")
    return host.strip("[]") or "127.0.0.1", int(port)


def recording_needs_colour(record: Path | None, serve: str) -> bool:
    """Whether an output shows pictures, which should not be gray only to save a conversion."""
    return record is not None or bool(serve)
