"""``edge-fer bench``: every file on every engine at every thread count, interleaved."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bench.footprint import footprint
from edge_fer.bench.measure import Samples, measure
from edge_fer.bundle import Bundle
from edge_fer.errors import EdgeFerError, MissingExtraError, ModelError
from edge_fer.graph import GraphSummary, summarise_tflite
from edge_fer.runtime.engines import ENGINE_FORMATS, Engine, installed_engines, load_engine
from edge_fer.telemetry import load_1min, machine

SCHEMA = "edge-fer/bench/1"
NOISY_LOAD_PER_CORE = 0.6
NOISY_SPREAD = 1.5


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model file to measure.

    Attributes:
        name: For the table, e.g. ``bundle/model.int8.tflite``.
        format: ``tflite`` or ``onnx``.
        precision: ``fp32``, ``int8``, or what the input's type says.
        content: The file's bytes.
        params: Total of the network for a bundle, stored values for a bare file.
        macs: Of one inference.
        arena_mb: Peak of activations alive at once.
    """

    name: str
    format: str
    precision: str
    content: bytes
    params: int | None
    macs: int | None
    arena_mb: float | None


def bench(
    paths: Sequence[Path],
    *,
    threads: Sequence[int],
    rounds: int = 20,
    inferences: int = 50,
    on_round: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Measures bundles and bare model files.

    Args:
        paths: Bundles (folder or ``.tar``), ``.tflite`` and ``.onnx`` files.
        threads: Thread counts to measure.
        rounds: See ``measure``.
        inferences: See ``measure``.
        on_round: Called with the number of each finished round.

    Returns:
        A document of schema ``edge-fer/bench/1``: ``machine``, ``rows``, ``skipped`` (what was not
        measured, and why), ``settings`` and ``warnings``.

    Raises:
        EdgeFerError: A file cannot be read, or no engine can run any of them.
    """
    load_before = load_1min()
    subjects = [subject for path in paths for subject in read_subjects(path)]
    plan, skipped = _plan(subjects, threads)
    if not plan:
        raise ModelError(f"nothing to measure: {'; '.join(skipped)}")
    samples = measure(
        [_inference(engine) for _, _, _, engine in plan],
        rounds=rounds,
        inferences=inferences,
        on_round=on_round,
    )
    rows = [
        _row(subject, name, count, sample)
        for (subject, name, count, _), sample in zip(plan, samples, strict=True)
    ]
    return {
        "schema": SCHEMA,
        "machine": machine() | {"load_before": load_before},
        "settings": {"rounds": rounds, "inferences": inferences, "batch": 1},
        "rows": rows,
        "skipped": skipped,
        "warnings": noise_warnings(rows, load_before, os.cpu_count() or 1),
    }


def read_subjects(path: Path) -> list[Subject]:
    """Reads a bundle's files, or one bare file."""
    if path.suffix in {".tflite", ".onnx"}:
        return [_bare_file(path)]
    bundle = Bundle.load(path)
    return [
        Subject(
            name=f"{bundle.manifest.name}/{model_file.file}",
            format=model_file.format,
            precision=model_file.precision,
            content=bundle.contents[model_file.file],
            params=bundle.manifest.params,
            macs=model_file.macs,
            arena_mb=model_file.arena_mb,
        )
        for model_file in bundle.manifest.files
    ]


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


def _bare_file(path: Path) -> Subject:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    summary = _summary(path, content)
    return Subject(
        name=path.name,
        format=path.suffix[1:],
        precision="fp32" if summary is None or "FLOAT" in summary.input_type else "int8",
        content=content,
        params=summary.params if summary else None,
        macs=summary.macs if summary else None,
        arena_mb=summary.arena_bytes / 1e6 if summary else None,
    )


def _summary(path: Path, content: bytes) -> GraphSummary | None:
    """Counts of a bare file; ``None`` for ONNX where the ``onnx`` package is missing."""
    if path.suffix == ".tflite":
        return summarise_tflite(content, str(path))
    from edge_fer.export.onnx_graph import summarise_onnx

    try:
        return summarise_onnx(content, str(path))
    except MissingExtraError:
        return None


Planned = tuple[Subject, str, int, Engine]


def _plan(subjects: Sequence[Subject], threads: Sequence[int]) -> tuple[list[Planned], list[str]]:
    plan: list[Planned] = []
    skipped: list[str] = []
    installed = installed_engines()
    for subject in subjects:
        for name, format_ in ENGINE_FORMATS.items():
            if format_ != subject.format:
                continue
            if name not in installed:
                skipped.append(f"{subject.name} on {name}: not installed")
                continue
            try:
                plan += [
                    (subject, name, n, load_engine(name, subject.content, subject.name, threads=n))
                    for n in threads
                ]
            except EdgeFerError as error:
                if len(subjects) == 1:
                    raise
                skipped.append(str(error))
    return plan, skipped


def _inference(engine: Engine) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 127, engine.input.shape).astype(engine.input.dtype)
    if engine.input.dtype == "float32":
        x /= 128
    return lambda: engine(x)


def _row(subject: Subject, engine: str, threads: int, samples: Samples) -> dict[str, Any]:
    p50_ms = samples.percentile_ms(50)
    return {
        "file": subject.name,
        "format": subject.format,
        "precision": subject.precision,
        "engine": engine,
        "threads": threads,
        "p50_ms": p50_ms,
        "p90_ms": samples.percentile_ms(90),
        "p99_ms": samples.percentile_ms(99),
        "fps": 1e3 / p50_ms,
        "cpu_ms": float(np.median(samples.cpu_ms)),
        "params": subject.params,
        "macs": subject.macs,
        "flops": None if subject.macs is None else 2 * subject.macs,
        "size_mb": len(subject.content) / 1e6,
        "arena_mb": subject.arena_mb,
        "rss_mb": footprint(engine, subject.content, threads)["rss_mb"],
        "load": samples.load,
    }
