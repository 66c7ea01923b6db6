"""``edge-fer bench --ops --space``: what each operation of a search takes, on this device.

All probes of a precision are measured in one interleaved run, whole networks among them, so that a
slow spell of the machine hits everything alike. Times are of the processor, at one thread: what
other work on the machine takes away from a long inference and not from a short one stays out.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bench.bench import example_input
from edge_fer.bench.measure import WARMUP, measure
from edge_fer.bench.probes import NOTHING, PROBES_FILE
from edge_fer.bench.probes import SCHEMA as PROBES_SCHEMA
from edge_fer.bench.statistics import median_interval
from edge_fer.errors import ModelError
from edge_fer.runtime.engines import load_engine
from edge_fer.search.op_table_schema import PRECISIONS, SCHEMA
from edge_fer.telemetry import load_1min, machine

ENGINE = "litert"
_FREE = "skip_connect"

Rounds = Mapping[str, np.ndarray]
Key = tuple[str, int, int, int]


def measure_table(
    folder: Path, *, rounds: int, inferences: int, on_round: Callable[[int], None]
) -> dict[str, Any]:
    """Measures probes at one thread.

    Args:
        folder: What ``write_probes`` wrote.
        rounds: Interleaved rounds.
        inferences: Timed ones of each probe in a round.
        on_round: Called with the number of each finished round, of both precisions.

    Returns:
        A document of schema ``edge-fer/op-table/1``: ``machine``, ``space``, ``base_ms``, ``rows``
        (an operation at a place, in ms, with intervals), ``networks`` (predicted and measured) and
        ``check`` of those that the base was not taken from.

    Raises:
        ModelError: There are no probes, or one cannot be run.
    """
    probes = read_probes(folder)
    load_before = load_1min()
    timed: dict[str, Rounds] = {}
    for number, precision in enumerate(PRECISIONS):
        timed[precision] = _rounds_ms(
            folder,
            probes["probes"],
            precision,
            rounds=rounds,
            inferences=inferences,
            on_round=_later(number * rounds, on_round),
        )
    rows = operation_rows(probes, timed)
    wholes = [probe for probe in probes["probes"] if "parts" in probe]
    networks = [_network(probe, timed) for probe in wholes]
    parts = [probe["parts"] for probe in wholes]
    base_ms = _predict(networks, parts, rows, probes["base_networks"])
    return {
        "schema": SCHEMA,
        "name": probes["name"],
        "machine": machine() | {"load_before": load_before},
        "engine": ENGINE,
        "threads": 1,
        "settings": {
            "rounds": rounds,
            "inferences": inferences,
            "warmup": WARMUP,
            "clock": "cpu",
            "repeats": probes["repeats"],
        },
        "space": probes["space"],
        "base_ms": base_ms,
        "rows": rows,
        "networks": networks,
        "check": check(networks[probes["base_networks"] :]),
    }


def read_probes(folder: Path) -> dict[str, Any]:
    """Reads ``probes.json``.

    Raises:
        ModelError: There is none, or it is another document.
    """
    path = folder / PROBES_FILE
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: no readable probes; write them with --space ({error})"
        ) from error
    if document.get("schema") != PROBES_SCHEMA:
        raise ModelError(f"{path}: schema is {document.get('schema')!r}; expected {PROBES_SCHEMA}")
    return document


def operation_rows(probes: Mapping[str, Any], timed: Mapping[str, Rounds]) -> list[dict[str, Any]]:
    """Takes from each probe what is around its operation.

    An identity that keeps the size is nothing, so its probe is what the others of its place are
    compared with; where the size is halved it is the probe without an operation.

    Args:
        probes: As ``read_probes`` gives it.
        timed: By precision and probe, the CPU time of an inference in each round, ``[rounds]`` ms.
    """
    entries = [probe for probe in probes["probes"] if "operation" in probe]
    names = {_key(probe): probe["name"] for probe in entries}
    rows = []
    for probe in entries:
        if probe["operation"] == NOTHING:
            continue
        key = _key(probe)
        around = names[(_FREE if probe["stride"] == 1 else NOTHING, *key[1:])]
        row = dict(zip(("operation", "channels", "size_px", "stride"), key, strict=True))
        for precision, rounds_ms in timed.items():
            own_ms = (rounds_ms[probe["name"]] - rounds_ms[around]) / probes["repeats"]
            row[f"{precision}_ms"] = max(0.0, float(np.median(own_ms)))
            row[f"{precision}_ci95_ms"] = list(median_interval(own_ms).bounds)
        rows.append(row)
    return rows


def check(networks: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Compares what was predicted with what was measured, by precision; ``None`` for under two.

    Returns:
        ``n``, ``spearman`` (rank correlation), ``mean_error`` and ``max_error`` (fractions of the
        measured latency).
    """
    if len(networks) < 2:
        return None
    found = {}
    for precision in PRECISIONS:
        predicted = np.array([network["predicted_ms"][precision] for network in networks])
        measured = np.array([network["measured_ms"][precision] for network in networks])
        error = np.abs(predicted / measured - 1)
        found[precision] = {
            "n": len(networks),
            "spearman": spearman(predicted, measured),
            "mean_error": float(error.mean()),
            "max_error": float(error.max()),
        }
    return found


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the ranks of two sets of different numbers."""
    ranks, others = (np.argsort(np.argsort(values)) for values in (one, other))
    return float(np.corrcoef(ranks, others)[0, 1])


def _later(before: int, on_round: Callable[[int], None]) -> Callable[[int], None]:
    return lambda number: on_round(before + number)


def _rounds_ms(
    folder: Path,
    probes: Sequence[Mapping[str, Any]],
    precision: str,
    *,
    rounds: int,
    inferences: int,
    on_round: Callable[[int], None],
) -> Rounds:
    runs = [_inference(folder / f"{probe['name']}.{precision}.tflite") for probe in probes]
    samples = measure(runs, rounds=rounds, inferences=inferences, on_round=on_round)
    return {probe["name"]: sample.cpu_ms for probe, sample in zip(probes, samples, strict=True)}


def _inference(path: Path) -> Callable[[], object]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    engine = load_engine(ENGINE, content, path.name, threads=1)
    x = example_input(engine)
    return lambda: engine(x)


def _key(entry: Mapping[str, Any]) -> Key:
    return entry["operation"], entry["channels"], entry["size_px"], entry["stride"]


def _network(probe: Mapping[str, Any], timed: Mapping[str, Rounds]) -> dict[str, Any]:
    measured = {
        precision: float(np.median(rounds_ms[probe["name"]]))
        for precision, rounds_ms in timed.items()
    }
    return {
        "name": probe["name"],
        "genotype": probe["genotype"],
        "measured_ms": measured,
        "predicted_ms": {},
    }


def _predict(
    networks: Sequence[dict[str, Any]],
    parts: Sequence[Sequence[Sequence[Any]]],
    rows: Sequence[Mapping[str, Any]],
    base_networks: int,
) -> dict[str, float]:
    """Fills ``predicted_ms`` in; returns the base, by precision."""
    by_key = {_key(row): row for row in rows}
    base_ms = {}
    for precision in PRECISIONS:
        sums = [sum(by_key[(*part,)][f"{precision}_ms"] for part in own) for own in parts]
        left = [n["measured_ms"][precision] - s for n, s in zip(networks, sums, strict=True)]
        base_ms[precision] = float(np.mean(left[:base_networks]))
        for network, own in zip(networks, sums, strict=True):
            network["predicted_ms"][precision] = base_ms[precision] + own
    return base_ms
