"""The measuring itself: callables in, samples out. No state outlives a call."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edge_fer.telemetry import load_1min


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Every timing of one candidate; outliers are kept.

    Attributes:
        wall_ms: float64 ``[rounds * inferences]``, one per inference.
        cpu_ms: float64 ``[rounds]``: CPU time per inference of all threads, mean of each round.
        load: Mean 1-minute load average over the rounds, or ``None``.
    """

    wall_ms: np.ndarray
    cpu_ms: np.ndarray
    load: float | None

    def percentile_ms(self, percent: float) -> float:
        """Returns a percentile of the wall time."""
        return float(np.percentile(self.wall_ms, percent))


def measure(
    candidates: Sequence[Callable[[], object]],
    *,
    rounds: int,
    inferences: int,
    warmup: int = 5,
    seed: int = 0,
    on_round: Callable[[int], None] = lambda _: None,
) -> list[Samples]:
    """Times candidates interleaved, so that a slow spell of the machine hits all of them alike.

    Each round runs every candidate once, in a new random order: ``warmup`` inferences that are not
    timed, then ``inferences`` that are.

    Args:
        candidates: Each call is one inference.
        rounds: Number of rounds.
        inferences: Timed inferences of a candidate in a round.
        warmup: Untimed ones before them.
        seed: Of the order.
        on_round: Called with the number of each finished round.

    Returns:
        Samples of each candidate, in the order given.
    """
    order = list(range(len(candidates)))
    shuffle = random.Random(seed).shuffle
    wall_ms: list[list[float]] = [[] for _ in candidates]
    cpu_ms: list[list[float]] = [[] for _ in candidates]
    loads: list[list[float]] = [[] for _ in candidates]
    for number in range(rounds):
        shuffle(order)
        for index in order:
            wall, cpu = _time_block(candidates[index], inferences, warmup)
            wall_ms[index].extend(wall)
            cpu_ms[index].append(cpu)
            load = load_1min()
            if load is not None:
                loads[index].append(load)
        on_round(number + 1)
    return [
        Samples(
            wall_ms=np.array(wall_ms[index]),
            cpu_ms=np.array(cpu_ms[index]),
            load=float(np.mean(loads[index])) if loads[index] else None,
        )
        for index in range(len(candidates))
    ]


def _time_block(
    run: Callable[[], object], inferences: int, warmup: int
) -> tuple[list[float], float]:
    for _ in range(warmup):
        run()
    marks = [0] * (inferences + 1)
    cpu_started_ns = time.process_time_ns()
    marks[0] = time.perf_counter_ns()
    for index in range(inferences):
        run()
        marks[index + 1] = time.perf_counter_ns()
    cpu_ns = time.process_time_ns() - cpu_started_ns
    wall_ms = [(after - before) / 1e6 for before, after in pairwise(marks)]
    return wall_ms, cpu_ns / inferences / 1e6
