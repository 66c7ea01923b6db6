"""``--stages``: where the time of a frame goes, from the camera to the label."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_fer.errors import SourceError
from edge_fer.runtime.frame import Source
from edge_fer.runtime.labels.steadiness import Steadiness
from edge_fer.runtime.recognizer import Recognizer
from edge_fer.runtime.result import STAGES, Result
from edge_fer.runtime.sources.opening import open_source

WARMUP_FRAMES = 2


@dataclass(frozen=True, kw_only=True)
class StageRequest:
    """What to run through the whole pipeline.

    Attributes:
        source: Photo, folder, clip or camera.
        bundle: Name or path.
        detector: As ``edge-fer run`` takes it.
        engine: Name, or ``None`` for the preferred one.
        threads: Of one inference and of the detector.
        frames: So many; a clip that ends before starts again.
    """

    source: str
    bundle: str
    detector: str = "auto"
    engine: str | None = None
    threads: int = 1
    frames: int = 100


def bench_stages(request: StageRequest) -> dict[str, Any]:
    """Runs the device loop on a source and sums up its own record of stages.

    Returns:
        What ``summarise`` does, and ``steadiness`` as ``Steadiness.to_dict`` has it.

    Raises:
        EdgeFerError: Source, bundle, engine or detector cannot be used.
    """
    recognizer = Recognizer.load(
        request.bundle, detector=request.detector, engine=request.engine, threads=request.threads
    )
    frames = time_frames(recognizer, lambda: open_source(request.source), request.frames)
    steadiness = Steadiness()
    for frame in frames:
        steadiness.add(frame.result)
    document = {"source": request.source, "detector": request.detector} | summarise(frames)
    return document | {"steadiness": steadiness.to_dict()}


@dataclass(frozen=True)
class TimedFrame:
    """A frame's record, and how long it took seen from outside."""

    result: Result
    frame_ms: float


def time_frames(
    recognizer: Recognizer,
    open_again: Callable[[], Source],
    count: int,
    clock_s: Callable[[], float] = time.perf_counter,
) -> list[TimedFrame]:
    """Reads ``count`` frames after ``WARMUP_FRAMES``, and starts the source again when it ends.

    Raises:
        SourceError: It gives no frame at all.
    """
    timed: list[TimedFrame] = []
    while len(timed) < count + WARMUP_FRAMES:
        before = len(timed)
        with open_again() as source:
            for result, frame_ms in _timed(recognizer.stream(source), clock_s):
                timed.append(TimedFrame(_without_picture(result), frame_ms))
                if len(timed) == count + WARMUP_FRAMES:
                    break
        if len(timed) == before:
            raise SourceError("the source gives no frames")
    return timed[WARMUP_FRAMES:]


def _without_picture(result: Result) -> Result:
    """Returns the record alone: the pictures of a hundred frames fill a small device's memory."""
    return replace(result, frame=replace(result.frame, image=np.empty((0, 0), np.uint8)))


def _timed(
    results: Iterator[Result], clock_s: Callable[[], float]
) -> Iterator[tuple[Result, float]]:
    started_s = clock_s()
    for result in results:
        yield result, 1e3 * (clock_s() - started_s)
        started_s = clock_s()


def summarise(frames: list[TimedFrame]) -> dict[str, Any]:
    """Returns each stage's times, and how much of the frame they explain.

    Args:
        frames: At least one.

    Returns:
        ``stages``: name, ``mean_ms``, ``p50_ms``, ``p90_ms`` and ``share`` of the mean frame;
        ``frame_ms`` (mean) and ``frame_p50_ms`` as seen from outside, ``fps``, ``explained`` (sum
        of the stages' means / mean frame), ``frames`` and how many of them ``with_face``.
    """
    frame_ms = np.array([frame.frame_ms for frame in frames])
    mean_ms = float(frame_ms.mean())
    stages = [_stage(name, frames, mean_ms) for name in STAGES if name != "total"]
    return {
        "stages": stages,
        "frames": len(frames),
        "with_face": sum(bool(frame.result.faces) for frame in frames),
        "frame_ms": mean_ms,
        "frame_p50_ms": float(np.median(frame_ms)),
        "fps": 1e3 / float(np.median(frame_ms)),
        "explained": sum(stage["mean_ms"] for stage in stages) / mean_ms,
    }


def _stage(name: str, frames: list[TimedFrame], frame_mean_ms: float) -> dict[str, Any]:
    ms = np.array([frame.result.latency_ms[name] for frame in frames])
    p50_ms, p90_ms = np.percentile(ms, [50, 90]).tolist()
    mean_ms = float(ms.mean())
    times = {"mean_ms": mean_ms, "p50_ms": p50_ms, "p90_ms": p90_ms}
    return {"stage": name, **times, "share": mean_ms / frame_mean_ms}
