"""The measuring itself: callables in, samples out. No state outlives a call."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edge_fer.telemetry import load_1min

WARMUP = 5


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Every timing of one candidate; outliers are kept.

    Attributes:
        wall_ms: float64 ``[rounds * inferences]``, one per inference, round after round.
        cpu_ms: float64 ``[rounds]``: CPU time per inference of all threads, mean of each round.
        load: Mean 1-minute load average over the rounds, or ``None``.
        energy_mj: Energy of one inference, mean, of all that the sensor sees; ``None`` without one.
    """

    wall_ms: np.ndarray
    cpu_ms: np.ndarray
    load: float | None
    energy_mj: float | None = None

    def percentile_ms(self, percent: float) -> float:
        """Returns a percentile of the wall time."""
        return float(np.percentile(self.wall_ms, percent))

    @property
    def round_p50_ms(self) -> np.ndarray:
        """Median of each round, ``[rounds]``."""
        return np.asarray(np.median(self.wall_ms.reshape(len(self.cpu_ms), -1), axis=1))


@dataclass(frozen=True)
class _Block:
    """One round of one candidate; times and energy are of one inference."""

    wall_ms: list[float]
    cpu_ms: float
    energy_mj: float | None
    load: float | None


def measure(
    candidates: Sequence[Callable[[], object]],
    *,
    rounds: int,
    inferences: int,
    warmup: int = WARMUP,
    seed: int = 0,
    on_round: Callable[[int], None] = lambda _: None,
    energy_j: Callable[[], float | None] = lambda: None,
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
        energy_j: Reads a counter of joules; ``None`` without a sensor.

    Returns:
        Samples of each candidate, in the order given.
    """
    order = list(range(len(candidates)))
    shuffle = random.Random(seed).shuffle
    blocks: list[list[_Block]] = [[] for _ in candidates]
    for number in range(rounds):
        shuffle(order)
        for index in order:
            blocks[index].append(_time_block(candidates[index], inferences, warmup, energy_j))
        on_round(number + 1)
    return [_samples(own) for own in blocks]


def _samples(blocks: Sequence[_Block]) -> Samples:
    return Samples(
        wall_ms=np.array([ms for block in blocks for ms in block.wall_ms]),
        cpu_ms=np.array([block.cpu_ms for block in blocks]),
        load=_mean([block.load for block in blocks]),
        energy_mj=_mean([block.energy_mj for block in blocks]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _time_block(
    run: Callable[[], object],
    inferences: int,
    warmup: int,
    energy_j: Callable[[], float | None],
) -> _Block:
    for _ in range(warmup):
        run()
    marks = [0] * (inferences + 1)
    energy_before_j = energy_j()
    cpu_started_ns = time.process_time_ns()
    marks[0] = time.perf_counter_ns()
    for index in range(inferences):
        run()
        marks[index + 1] = time.perf_counter_ns()
    cpu_ns = time.process_time_ns() - cpu_started_ns
    energy_after_j = energy_j()
    spent_j = None
    if energy_before_j is not None and energy_after_j is not None:
        spent_j = energy_after_j - energy_before_j
    return _Block(
        wall_ms=[(after - before) / 1e6 for before, after in pairwise(marks)],
        cpu_ms=cpu_ns / inferences / 1e6,
        energy_mj=None if spent_j is None else 1e3 * spent_j / inferences,
        load=load_1min(),
    )
