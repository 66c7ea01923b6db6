"""``edge-fer run``: a source, a recognizer and its outputs, from start to a clean stop."""

import statistics
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from edge_fer.errors import OutputError
from edge_fer.runtime.frame import Source
from edge_fer.runtime.labels.steadiness import Steadiness
from edge_fer.runtime.outputs.outputs import Outputs, parse_listen, recording_needs_colour
from edge_fer.runtime.outputs.publish import open_publisher
from edge_fer.runtime.outputs.sinks import JsonLines, TextLines, open_recorder
from edge_fer.runtime.reading import Reading
from edge_fer.runtime.recognizer import Recognizer
from edge_fer.runtime.result import Result
from edge_fer.runtime.service.health import Health
from edge_fer.runtime.service.signals import StopRequest, SystemdNotifier, stop_on_signals
from edge_fer.runtime.settings import Settings
from edge_fer.runtime.sources.opening import CAMERA_SIZE, RETRY_S, open_source
from edge_fer.runtime.sources.redact import redact

if TYPE_CHECKING:
    from edge_fer.runtime.serve.server import PageServer

LINES = ("text", "json", "none")
#: Networks with these inputs read gray frames as well as BGR ones.
GRAY = ("gray", "gray3")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What to run.

    Attributes:
        source: See ``open_source``.
        bundle: Name or path.
        settings: Of the recognizer.
        lines: One of ``LINES``: what is printed for each frame.
        record: Where to write annotated pictures or video.
        csv: Where to write a row for each face of each frame.
        publish: See ``open_publisher``, any number of them.
        serve: ``[HOST:]PORT`` of the web page; empty is none.
        token: What viewers of the page must know; see ``open_server``.
        max_frames: Stop after so many; 0 means never.
        size: See ``open_source``.
        every_frame: See ``open_source``.
        retry_s: See ``open_source``.
        force: Replace existing files.
    """

    source: str
    bundle: str
    settings: Settings = field(default_factory=Settings)
    lines: str = "text"
    record: Path | None = None
    csv: Path | None = None
    publish: tuple[str, ...] = ()
    serve: str = ""
    token: str | None = None
    max_frames: int = 0
    size: tuple[int, int] = CAMERA_SIZE
    every_frame: bool | None = None
    retry_s: float = RETRY_S
    force: bool = False

    def __post_init__(self) -> None:
        if self.lines not in LINES:
            raise OutputError(f"lines {self.lines!r} is not one of {', '.join(LINES)}")


@dataclass
class Summary:
    """What a run amounted to.

    Attributes:
        frames: Read.
        with_face: Of them.
        dropped: Frames of the source that nobody read.
        skipped: Frames on which something broke.
        busy_ms: Of the last 10,000 frames, all stages but the capture, which waits for a camera.
        steadiness: Of the labels.
        failures: Outputs that the run had to go on without.
    """

    frames: int = 0
    with_face: int = 0
    dropped: int = 0
    skipped: int = 0
    busy_ms: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))
    steadiness: Steadiness = field(default_factory=Steadiness)
    failures: list[str] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Counts one frame."""
        self.frames += 1
        self.with_face += bool(result.faces)
        self.dropped += result.frame.dropped
        self.busy_ms.append(result.latency_ms["total"] - result.latency_ms["capture"])
        self.steadiness.add(result)

    def __str__(self) -> str:
        if not self.frames:
            return "no frames"
        median_ms = statistics.median(self.busy_ms)
        text = (
            f"{self.frames} frames, a face in {self.with_face} "
            f"({self.with_face / self.frames:.0%}), "
            f"median {median_ms:.1f} ms a frame after its capture"
        )
        lost = {"dropped": self.dropped, "skipped": self.skipped}
        return text + "".join(f", {count} {name}" for name, count in lost.items() if count)


def run(options: RunOptions, stream: TextIO) -> Summary:
    """Reads the source to its end, to ``max_frames``, or to SIGINT or SIGTERM: a clean stop.

    Args:
        options: What to run.
        stream: Where lines go.

    Raises:
        EdgeFerError: Source, bundle, detector or an output cannot be used.
    """
    summary = Summary()
    with stop_on_signals() as stop:
        try:
            with ExitStack() as stack:
                _run(options, stream, stack, stop, summary)
        except KeyboardInterrupt:
            pass
    return summary


def _run(
    options: RunOptions, stream: TextIO, stack: ExitStack, stop: StopRequest, summary: Summary
) -> None:
    systemd = SystemdNotifier()
    stack.callback(systemd.close)
    recognizer = Recognizer.load(options.bundle, **vars(options.settings))
    colour = recording_needs_colour(options.record, options.serve)
    source = stack.enter_context(
        open_source(
            options.source,
            size=options.size,
            every_frame=options.every_frame,
            retry_s=options.retry_s,
            gray_ok=recognizer.classifier.preprocessing.color in GRAY and not colour,
        )
    )
    outputs = Outputs(carry_on=source.live)
    stack.callback(_close, outputs, stop)
    health = _open_outputs(outputs, options, source, recognizer.classifier.labels, stream)
    reading = Reading(recognizer, health)
    stack.callback(systemd.stopping)
    for result in _results(source, reading, options.max_frames):
        if not summary.frames:
            systemd.ready()
        summary.add(result)
        health.frame(result)
        with stop.deferred:
            outputs.write(result)
        systemd.frame(result.frame.index, summary.__str__)
        summary.skipped, summary.failures = reading.skipped, outputs.failures


def _results(source: Source, reading: Reading, max_frames: int) -> Iterator[Result]:
    count = 0
    for frame in source:
        result = reading.read(frame)
        if result is not None:
            yield result
            count += 1
            if count == max_frames:
                return


def _close(outputs: Outputs, stop: StopRequest) -> None:
    with stop.deferred:
        outputs.close()


def _open_outputs(
    outputs: Outputs,
    options: RunOptions,
    source: Source,
    labels: tuple[str, ...],
    stream: TextIO,
) -> Health:
    """Opens what is asked for; the web page comes last, with all others in its health."""
    if options.lines == "json":
        outputs.add("lines", JsonLines(stream))
    elif options.lines == "text":
        outputs.add("lines", TextLines(stream, live=source.fps > 0))
    if options.csv is not None:
        from edge_fer.runtime.outputs.csv_rows import CsvRows

        outputs.add("csv", CsvRows(options.csv, labels, force=options.force))
    if options.record is not None:
        recorder = open_recorder(
            options.record, single=source.single, fps=source.fps, force=options.force
        )
        outputs.add("record", recorder)
    publishers = []
    for url in options.publish:
        publisher = open_publisher(url)
        publishers.append(publisher)
        outputs.add(str(publisher.status()["url"]), publisher)
    health = Health(publishers)
    if options.serve:
        outputs.add("page", _open_page(options, health))
    return health


def _open_page(options: RunOptions, health: Health) -> "PageServer":
    from edge_fer.runtime.serve.server import open_server

    host, port = parse_listen(options.serve)
    server = open_server(
        host,
        port,
        token=options.token,
        health=health.to_dict,
        about={"bundle": options.bundle, "source": redact(options.source)},
        recording=options.record is not None,
    )
    sys.stderr.write(f"web page: {server.url}\n")
    return server
