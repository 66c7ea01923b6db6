"""``edge-fer run``: a source, a recognizer and its sinks, from start to a clean stop."""

import statistics
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from edge_fer.runtime.frame import Source
from edge_fer.runtime.recognizer import Recognizer
from edge_fer.runtime.result import Result
from edge_fer.runtime.sinks import JsonLines, Sink, TextLines, open_recorder
from edge_fer.runtime.sources import open_source


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What to run.

    Attributes:
        source: See ``open_source``.
        bundle: Name or path.
        detector: See ``open_detector``.
        engine: Name, or ``None`` for the preferred one that is installed.
        threads: Of one inference.
        record: Where to write annotated pictures or video.
        max_frames: Stop after so many; 0 means never.
        force: Replace an existing recording.
        json_lines: JSON instead of text.
    """

    source: str
    bundle: str
    detector: str = "auto"
    engine: str | None = None
    threads: int = 1
    record: Path | None = None
    max_frames: int = 0
    force: bool = False
    json_lines: bool = False


@dataclass
class Summary:
    """What a run amounted to."""

    frames: int = 0
    with_face: int = 0
    total_ms: list[float] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Counts one frame; times are kept for the last 10,000."""
        self.frames += 1
        self.with_face += bool(result.faces)
        self.total_ms.append(result.latency_ms["total"])
        del self.total_ms[:-10_000]

    def __str__(self) -> str:
        if not self.frames:
            return "no frames"
        median_ms = statistics.median(self.total_ms)
        return (
            f"{self.frames} frames, a face in {self.with_face} "
            f"({self.with_face / self.frames:.0%}), "
            f"median {median_ms:.1f} ms a frame ({1e3 / median_ms:.0f} fps)"
        )


def run(options: RunOptions, stream: TextIO) -> Summary:
    """Reads the source to its end, to ``max_frames`` or to Ctrl-C, which is a clean stop.

    Args:
        options: What to run.
        stream: Where lines go.

    Raises:
        EdgeFerError: Source, bundle, detector or recording cannot be used.
    """
    summary = Summary()
    with ExitStack() as stack:
        source = stack.enter_context(open_source(options.source))
        recognizer = Recognizer.load(
            options.bundle,
            detector=options.detector,
            engine=options.engine,
            threads=options.threads,
        )
        sinks = _open_sinks(options, source, stream)
        for sink in sinks:
            stack.callback(sink.close)
        try:
            for result in recognizer.stream(source):
                summary.add(result)
                for sink in sinks:
                    sink.write(result)
                if summary.frames == options.max_frames:
                    break
        except KeyboardInterrupt:
            pass
    return summary


def _open_sinks(options: RunOptions, source: Source, stream: TextIO) -> list[Sink]:
    lines: Sink = (
        JsonLines(stream) if options.json_lines else TextLines(stream, live=source.fps > 0)
    )
    if options.record is None:
        return [lines]
    recorder = open_recorder(
        options.record, single=source.single, fps=source.fps, force=options.force
    )
    return [lines, recorder]
