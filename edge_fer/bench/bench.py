"""``edge-fer bench``: every file on every engine at every thread count, interleaved."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bench.footprint import STARTS, footprint
from edge_fer.bench.limit import limit_model
from edge_fer.bench.measure import WARMUP, Samples, measure
from edge_fer.bench.statistics import Interval, median_interval, paired_ratio
from edge_fer.bench.subjects import Subject, read_subjects
from edge_fer.errors import EdgeFerError, ModelError
from edge_fer.runtime.engines import ENGINE_FORMATS, Engine, load_engine, why_missing
from edge_fer.sensors import energy_counter
from edge_fer.telemetry import load_1min, machine

SCHEMA = "edge-fer/bench/1"
NOISY_LOAD_PER_CORE = 0.6
NOISY_SPREAD = 1.5
EMULATED = "emulated machine: times say nothing about a device, and there is no fps"
NCNN_SKIPPED = "ncnn: it reads .param and .bin, which edge-fer does not write"


@dataclass(frozen=True)
class Planned:
    """A file on an engine at a thread count, loaded."""

    subject: Subject
    name: str
    threads: int
    engine: Engine


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to measure, and how.

    Attributes:
        threads: Thread counts.
        rounds: See ``measure``.
        inferences: See ``measure``.
        engines: Names; every engine if empty.
        limit: Also measure each engine's large product.
        starts: Processes in which each row's start and memory are measured.
    """

    threads: Sequence[int]
    rounds: int = 20
    inferences: int = 50
    engines: Sequence[str] = ()
    limit: bool = False
    starts: int = STARTS


def bench(
    paths: Sequence[Path],
    request: Request,
    on_round: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Measures bundles and bare model files.

    Args:
        paths: Bundles (folder or ``.tar``), ``.tflite`` and ``.onnx`` files.
        request: How.
        on_round: Called with the number of each finished round.

    Returns:
        A document of schema ``edge-fer/bench/1``: ``machine``, ``rows``, ``skipped`` (what was not
        measured, and why), ``settings`` and ``warnings``.

    Raises:
        EdgeFerError: A file cannot be read, or no engine can run any of them.
    """
    return bench_subjects([one for path in paths for one in read_subjects(path)], request, on_round)


def bench_subjects(
    subjects: Sequence[Subject],
    request: Request,
    on_round: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """As ``bench``, of files already read."""
    load_before = load_1min()
    plan, skipped = _plan(subjects, request)
    if not plan:
        raise ModelError(f"nothing to measure: {'; '.join(skipped)}")
    limits, unlimited = _limits(plan) if request.limit else ([], [])
    energy_j, energy_source = energy_counter()
    samples = measure(
        [_inference(planned.engine) for planned in (*plan, *limits)],
        rounds=request.rounds,
        inferences=request.inferences,
        on_round=on_round,
        energy_j=energy_j,
    )
    rows = [_row(planned, own, request.starts) for planned, own in zip(plan, samples, strict=False)]
    _add_ratios(rows)
    if request.limit:
        _add_limits(rows, limits, samples[len(plan) :])
    here = machine()
    warnings = noise_warnings(rows, load_before, os.cpu_count() or 1)
    if here["emulated"]:
        warnings.append(EMULATED)
        for row in rows:
            row["fps"] = None
    return {
        "schema": SCHEMA,
        "machine": here | {"load_before": load_before, "energy": energy_source},
        "settings": {
            "rounds": request.rounds,
            "inferences": request.inferences,
            "warmup": WARMUP,
            "batch": 1,
        },
        "rows": rows,
        "skipped": [*skipped, *unlimited],
        "warnings": warnings,
    }


def noise_warnings(
    rows: Sequence[dict[str, Any]], load_before: float | None, cores: int
) -> list[str]:
    """Returns a line for each sign that other work disturbed the measurement."""
    warnings = []
    if load_before is not None and load_before > NOISY_LOAD_PER_CORE * cores:
        warnings.append(
            f"noisy machine: load {load_before:.1f} on {cores} cores before the start; wall "
            "times are too high, compare CPU times and ratios"
        )
    spread = float(np.median([row["p90_ms"] / row["p50_ms"] for row in rows]))
    if spread > NOISY_SPREAD:
        warnings.append(f"noisy machine: p90 is {spread:.1f} times p50")
    return warnings


def _plan(subjects: Sequence[Subject], request: Request) -> tuple[list[Planned], list[str]]:
    plan: list[Planned] = []
    skipped: list[str] = []
    unknown = set(request.engines) - {*ENGINE_FORMATS, "ncnn"}
    if unknown:
        raise ModelError(f"unknown engine {min(unknown)!r}; known: {', '.join(ENGINE_FORMATS)}")
    wanted = [name for name in ENGINE_FORMATS if not request.engines or name in request.engines]
    missing = {name: why_missing(name) for name in wanted}
    for subject in subjects:
        for name in (name for name in wanted if ENGINE_FORMATS[name] == subject.format):
            if missing[name]:
                continue
            try:
                plan += _loaded(subject, name, request.threads)
            except EdgeFerError as error:
                if len(subjects) == 1 and name == "litert":
                    raise
                skipped.append(f"{subject.name} on {name}: {error}")
    formats = {subject.format for subject in subjects}
    absent = [f"{n}: {why}" for n, why in missing.items() if why and ENGINE_FORMATS[n] in formats]
    if not request.engines or "ncnn" in request.engines:
        absent.append(NCNN_SKIPPED)
    return plan, skipped + absent


def _loaded(subject: Subject, name: str, threads: Sequence[int]) -> list[Planned]:
    return [
        Planned(subject, name, n, load_engine(name, subject.content, subject.name, threads=n))
        for n in threads
    ]


def _limits(plan: Sequence[Planned]) -> tuple[list[Planned], list[str]]:
    """The large product of each kind of row, and why one is missing."""
    limits: list[Planned] = []
    reasons: list[str] = []
    for key in dict.fromkeys(_limit_key(planned) for planned in plan):
        name, precision, threads = key
        try:
            subject = limit_model(ENGINE_FORMATS[name], precision)
            limits += _loaded(subject, name, [threads])
        except EdgeFerError as error:
            reasons.append(f"limit of {name} in {precision}: {error}")
    return limits, reasons


def _limit_key(planned: Planned) -> tuple[str, str, int]:
    precision = "fp32" if planned.engine.input.dtype == "float32" else "int8"
    return planned.name, precision, planned.threads


def _add_limits(
    rows: Sequence[dict[str, Any]], limits: Sequence[Planned], samples: Sequence[Samples]
) -> None:
    reached = {}
    for planned, own in zip(limits, samples, strict=True):
        assert planned.subject.macs is not None
        reached[_limit_key(planned)] = planned.subject.macs / own.percentile_ms(50) / 1e6
    for row in rows:
        precision = row["precision"] if row["precision"] == "int8" else "fp32"
        limit = reached.get((row["engine"], precision, row["threads"]))
        own_rate = row["gmacs_per_s"]
        row["limit_gmacs_per_s"] = limit
        row["limit_percent"] = 100 * own_rate / limit if limit and own_rate else None


def _add_ratios(rows: Sequence[dict[str, Any]]) -> None:
    """How many times slower than the fastest row, compared round by round."""
    fastest = min(rows, key=lambda row: float(row["p50_ms"]))
    reference_R = np.array(fastest["round_p50_ms"])
    for row in rows:
        ratio = (
            Interval(value=1.0, low=1.0, high=1.0)
            if row is fastest
            else paired_ratio(np.array(row["round_p50_ms"]), reference_R)
        )
        row |= {"ratio": ratio.value, "ratio_ci95": ratio.bounds}


def _inference(engine: Engine) -> Callable[[], object]:
    x = example_input(engine)
    return lambda: engine(x)


def example_input(engine: Engine) -> np.ndarray:
    """Returns noise of the input's shape and type, always the same."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 127, engine.input.shape).astype(engine.input.dtype)
    return np.asarray(x / np.float32(128)) if engine.input.dtype == "float32" else x


def _row(planned: Planned, samples: Samples, starts: int) -> dict[str, Any]:
    subject, p50_ms = planned.subject, samples.percentile_ms(50)
    macs = subject.macs
    return {
        "file": subject.name,
        "model": subject.model,
        "format": subject.format,
        "precision": subject.precision,
        "engine": planned.name,
        "threads": planned.threads,
        "p50_ms": p50_ms,
        "p50_ci95_ms": median_interval(samples.round_p50_ms).bounds,
        "p90_ms": samples.percentile_ms(90),
        "p99_ms": samples.percentile_ms(99),
        "p999_ms": samples.percentile_ms(99.9),
        "round_p50_ms": [round(float(ms), 6) for ms in samples.round_p50_ms],
        "fps": 1e3 / p50_ms,
        "cpu_ms": float(np.median(samples.cpu_ms)),
        "energy_mj": samples.energy_mj,
        "params": subject.params,
        "macs": macs,
        "flops": None if macs is None else 2 * macs,
        "gmacs_per_s": None if macs is None else macs / p50_ms / 1e6,
        "size_mb": len(subject.content) / 1e6,
        "arena_mb": subject.arena_mb,
        "accuracy": subject.accuracy,
        "accuracy_ci95": subject.accuracy_ci95 and list(subject.accuracy_ci95),
        "accuracy_on": subject.accuracy_on,
        "load": samples.load,
        **footprint(planned.name, subject.content, planned.threads, starts),
    }
