"""From starting a process to the first label of a frame, and its memory after that."""

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from client import Client
from environments import PeerError
from pictures import Pictures


def cold_starts(
    commands: Mapping[str, Sequence[str]], frames: Pictures, starts: int, skipped: list[str]
) -> list[dict[str, Any]]:
    """Starts every contender's worker several times, in turn.

    Args:
        commands: That start the workers, by the name of their contender.
        frames: The first one is read.
        starts: Processes of each.
        skipped: Gets a line for each that fails.

    Returns:
        Medians by contender, quickest first; memory is ``None`` where it cannot be read.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    shuffle = random.Random(0).shuffle
    for _ in range(starts):
        order = list(found)
        shuffle(order)
        for name in order:
            try:
                run = _start(name, commands[name], frames)
            except PeerError as error:
                skipped.append(f"cold start: {error}")
                del found[name]
                continue
            found[name].append(run)
    rows = [{"name": name, **_medians(runs)} for name, runs in found.items()]
    return sorted(rows, key=lambda row: float(row["first_label_ms"]))


def _start(name: str, command: Sequence[str], frames: Pictures) -> dict[str, Any]:
    started_s = time.monotonic()
    with Client(name, command) as client:
        answer = client.ask("pipeline", file=str(frames.file), indices=[0])
        first_label_ms = 1e3 * (time.monotonic() - started_s)
        memory = client.ask("rss")
    return {"first_label_ms": first_label_ms, "labels": answer["labels"][0], **memory}


def _medians(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    figures = {
        key: _median([run[key] for run in runs])
        for key in ("first_label_ms", "rss_mb", "peak_rss_mb")
    }
    every_ms = [run["first_label_ms"] for run in runs]
    return {**figures, "every_first_label_ms": every_ms, "labels": runs[0]["labels"]}


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
