"""``--ops``: the time of each operator, by the engine's own profiler.

A profiler takes time itself, so what the operators take together is compared with the same
inference without it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_fer.bench.ops_litert import litert_operators
from edge_fer.bench.ops_onnxruntime import onnxruntime_operators
from edge_fer.errors import ModelError

ROUNDS, INFERENCES = 10, 20
_TRIM = 0.25
PROFILERS: dict[str, Callable[..., dict[str, Any]]] = {
    "litert": litert_operators,
    "onnxruntime": onnxruntime_operators,
}


def operator_times(engine: str, content: bytes, threads: int) -> dict[str, Any]:
    """Profiles one model.

    Args:
        engine: Key of ``PROFILERS``.
        content: The model file.
        threads: Of one inference.

    Returns:
        ``operators``: ``name``, ``kind``, ``ms`` (mean of the middle half), ``share`` of the sum;
        ``sum_ms``; ``whole_ms``, the same without the profiler; ``explained``, their quotient.

    Raises:
        ModelError: The engine has no profiler that we know, or it failed.
    """
    if engine not in PROFILERS:
        raise ModelError(f"no profiler of {engine} is known; of {', '.join(PROFILERS)} it is")
    return summarise(PROFILERS[engine](content, threads, rounds=ROUNDS, inferences=INFERENCES))


def summarise(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Sums up ``operators`` (``name``, ``kind``, ``us``) and ``whole_ms`` of a profiler."""
    ms = [max(0.0, trimmed_mean(operator["us"])) / 1e3 for operator in profile["operators"]]
    total, whole = sum(ms), trimmed_mean(profile["whole_ms"])
    return {
        "operators": [
            {"name": operator["name"], "kind": operator["kind"], "ms": own, "share": own / total}
            for operator, own in zip(profile["operators"], ms, strict=True)
        ],
        "profiler_us": profile.get("profiler_us"),
        "sum_ms": total,
        "whole_ms": whole,
        "explained": total / whole,
    }


def trimmed_mean(values: Sequence[float]) -> float:
    """Mean of the middle half: a median of whole microseconds is too coarse."""
    ordered = np.sort(np.asarray(values, np.float64))
    cut = int(len(ordered) * _TRIM)
    return float(ordered[cut : len(ordered) - cut].mean())
