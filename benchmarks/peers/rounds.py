"""The interleaved rounds: everyone gets the same pictures in turn, and a slow spell hits all."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from catalogue import PIPELINE, REFERENCE
from client import Client
from environments import PeerError
from pictures import Pictures

from edge_fer.bench.measure import Samples
from edge_fer.bench.statistics import Interval, median_interval, paired_ratio, verdict
from edge_fer.telemetry import load_1min


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing that is measured.

    Attributes:
        op: Of the protocol, ``classify`` or ``pipeline``.
        pictures: What it is measured on.
        count: Timed pictures of a contender in a round.
        warmup: Untimed ones before them.
    """

    op: str
    pictures: Pictures
    count: int
    warmup: int


@dataclass(frozen=True, kw_only=True)
class Block:
    """One round of one contender."""

    wall_ms: list[float]
    cpu_ms: float
    labels: list[Any]
    load: float | None


def measure(
    part: Part,
    clients: dict[str, Client],
    rounds: int,
    skipped: list[str],
    on_round: Callable[[int], None] = lambda _: None,
) -> dict[str, list[Block]]:
    """Asks every contender once a round, in a new random order, for the same pictures.

    Args:
        part: What.
        clients: Workers by the name of their contender; one that fails is left out from then on.
        rounds: How many.
        skipped: Gets a line for each that fails.
        on_round: Called with the number of each finished round.
    """
    blocks: dict[str, list[Block]] = {name: [] for name in clients}
    shuffle = random.Random(0).shuffle
    for number in range(rounds):
        order = list(blocks)
        shuffle(order)
        for name in order:
            try:
                block = _block(part, clients[name], number)
            except PeerError as error:
                skipped.append(f"{part.op}: {error}")
                del blocks[name]
                continue
            blocks[name].append(block)
        on_round(number + 1)
    return blocks


def _block(part: Part, client: Client, number: int) -> Block:
    """The warm-up is the end of the round before, so that a video goes on where it stopped."""
    first, file = number * part.count, str(part.pictures.file)
    if part.warmup:
        indices = part.pictures.chunk(first - part.warmup, part.warmup)
        client.ask(part.op, file=file, indices=indices)
    answer = client.ask(part.op, file=file, indices=part.pictures.chunk(first, part.count))
    return Block(
        wall_ms=answer["wall_ms"],
        cpu_ms=answer["cpu_ms"],
        labels=answer["labels"],
        load=load_1min(),
    )


def rows_of(part: Part, blocks: dict[str, list[Block]]) -> list[dict[str, Any]]:
    """Returns a row of figures for each contender, fastest first; outliers are among them."""
    samples = {name: _samples(own) for name, own in blocks.items()}
    reference = samples.get(REFERENCE)
    rows = [
        _row(name, own, reference) | (_found(blocks[name]) if part.op == PIPELINE else {})
        for name, own in samples.items()
    ]
    return sorted(rows, key=lambda row: float(row["p50_ms"]))


def _samples(blocks: Sequence[Block]) -> Samples:
    loads = [block.load for block in blocks if block.load is not None]
    return Samples(
        wall_ms=np.array([ms for block in blocks for ms in block.wall_ms]),
        cpu_ms=np.array([block.cpu_ms for block in blocks]),
        load=float(np.mean(loads)) if loads else None,
    )


def _row(name: str, samples: Samples, reference: Samples | None) -> dict[str, Any]:
    return {
        "name": name,
        "n": len(samples.wall_ms),
        "p50_ms": samples.percentile_ms(50),
        "p50_ci95_ms": median_interval(samples.round_p50_ms).bounds,
        "p90_ms": samples.percentile_ms(90),
        "p99_ms": samples.percentile_ms(99),
        "mean_ms": float(samples.wall_ms.mean()),
        "cpu_ms": float(np.median(samples.cpu_ms)),
        "round_p50_ms": [round(float(ms), 6) for ms in samples.round_p50_ms],
        "load": samples.load,
        **_ratio(samples, reference),
    }


def _ratio(samples: Samples, reference: Samples | None) -> dict[str, Any]:
    """How many times the reference's time it takes, compared round by round."""
    if reference is None:
        return {"ratio": None, "ratio_ci95": None, "verdict": None}
    if samples is reference:
        ratio = Interval(value=1.0, low=1.0, high=1.0)
    else:
        ratio = paired_ratio(samples.round_p50_ms, reference.round_p50_ms)
    return {"ratio": ratio.value, "ratio_ci95": ratio.bounds, "verdict": verdict(ratio)}


def _found(blocks: Sequence[Block]) -> dict[str, Any]:
    faces = [len(labels) for block in blocks for labels in block.labels]
    return {
        "faces_per_frame": float(np.mean(faces)),
        "with_face": float(np.mean([count > 0 for count in faces])),
    }
