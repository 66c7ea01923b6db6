"""The worker's side of the line protocol: one JSON request a line in, one JSON answer a line out.

    {"op": "describe"}                                   {"labels": [...], "pipeline": "..."}
    {"op": "classify", "file": F, "indices": [0, 1]}     {"labels": [l, l], "wall_ms": [..],
                                                          "cpu_ms": mean of one}
    {"op": "pipeline", "file": F, "indices": [0]}        the same, with a list of labels a frame
    {"op": "rss"}                                        {"rss_mb": .., "peak_rss_mb": ..}

An answer may be ``{"error": "one line"}`` instead. Files hold raw pictures one after the other:
gray 48x48 faces, BGR 640x480 frames. The clock runs from a picture in memory to its label; reading
it does not count. A peer is loaded at the first request and the worker ends with its input.

It needs numpy only and runs in every peer's environment.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

FACE_SHAPE = (48, 48)
FRAME_SHAPE = (480, 640, 3)


class Peer(Protocol):
    """What a worker serves.

    Attributes:
        labels: Its classes, in its own words.
        pipeline: What finds the faces and what reads them, in words.
    """

    labels: Sequence[str]
    pipeline: str

    def classify(self, face: np.ndarray) -> str:
        """Returns the label of a gray face ``[48, 48]``, uint8."""

    def read(self, frame: np.ndarray) -> list[str]:
        """Returns a label for each face found in a BGR frame ``[480, 640, 3]``, uint8."""


def serve(load: Callable[[], Peer]) -> None:
    """Answers until the input ends.

    Args:
        load: Imports and loads the peer.
    """
    with _only_answers_on_stdout() as answers:
        peer: list[Peer] = []
        for line in sys.stdin:
            try:
                if not peer:
                    peer.append(load())
                answer = _answer(peer[0], json.loads(line))
            except Exception as error:
                answer = {"error": " ".join(f"{type(error).__name__}: {error}".split())}
            print(json.dumps(answer), file=answers, flush=True)


@contextlib.contextmanager
def _only_answers_on_stdout() -> Iterator[IO[str]]:
    """Sends whatever libraries print, from C too, to standard error."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        yield answers


def _answer(peer: Peer, request: dict[str, Any]) -> dict[str, Any]:
    op = request["op"]
    if op == "describe":
        return {"labels": list(peer.labels), "pipeline": peer.pipeline}
    if op == "rss":
        return {"rss_mb": _status_mb("VmRSS"), "peak_rss_mb": _status_mb("VmHWM")}
    run, shape = {"classify": (peer.classify, FACE_SHAPE), "pipeline": (peer.read, FRAME_SHAPE)}[op]
    return _timed(run, [_picture(request["file"], shape, i) for i in request["indices"]])


def _picture(file: str, shape: tuple[int, ...], index: int) -> np.ndarray:
    size = int(np.prod(shape))
    return np.fromfile(file, np.uint8, size, offset=index * size).reshape(shape)


def _timed(run: Callable[[np.ndarray], Any], pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    labels = []
    cpu_started_ns, marks_ns = time.process_time_ns(), [time.perf_counter_ns()]
    for picture in pictures:
        labels.append(run(picture))
        marks_ns.append(time.perf_counter_ns())
    cpu_ns = time.process_time_ns() - cpu_started_ns
    return {
        "labels": labels,
        "wall_ms": [(after - before) / 1e6 for before, after in pairwise(marks_ns)],
        "cpu_ms": cpu_ns / len(pictures) / 1e6,
    }


def _status_mb(key: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
    return int(kilobytes[0]) * 1024 / 1e6 if kilobytes else None
