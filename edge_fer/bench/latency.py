"""How long networks take on an engine, before they are anyone's artifact."""

from typing import TYPE_CHECKING

import numpy as np

from edge_fer.bench.measure import measure
from edge_fer.errors import ModelError
from edge_fer.runtime.engines import ENGINE_FORMATS, ENGINES, Engine, load_engine

if TYPE_CHECKING:
    from torch import nn

ROUNDS, INFERENCES = 20, 20


class LatencyMeter:
    """Exports networks in float and times them at batch 1, each against the first one measured.

    A candidate and the first network take turns, and the answer is the first one's median when it
    was measured alone, times the ratio of the two medians now: a slow spell of the machine makes
    both slow, and what it does to the ratio is small.

    Args:
        engine: Name in ``ENGINES``.
        threads: Of one inference.

    Raises:
        ModelError: The engine is unknown.
    """

    def __init__(self, engine: str, threads: int) -> None:
        if engine not in ENGINES:
            raise ModelError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
        self._engine, self._threads = engine, threads
        self._first: tuple[Engine, float] | None = None

    def __call__(self, network: "nn.Module", input_nchw: tuple[int, ...]) -> float:
        """Returns milliseconds of one inference.

        Raises:
            ModelError: The engine cannot run it.
            MissingExtraError: The engine is not installed.
        """
        candidate = self._load(network, input_nchw)
        if self._first is None:
            self._first = candidate, _medians_ms(candidate)[0]
        first, alone_ms = self._first
        if first is candidate:
            return alone_ms
        first_ms, candidate_ms = _medians_ms(first, candidate)
        return alone_ms * candidate_ms / first_ms

    def _load(self, network: "nn.Module", input_nchw: tuple[int, ...]) -> Engine:
        from edge_fer.export.onnx import export_onnx
        from edge_fer.export.tflite import export_tflite

        export = export_onnx if ENGINE_FORMATS[self._engine] == "onnx" else export_tflite
        content = export(network, input_nchw)
        return load_engine(self._engine, content, "the candidate", threads=self._threads)


def _medians_ms(*engines: Engine) -> list[float]:
    rng = np.random.default_rng(0)
    x = rng.random(engines[0].input.shape, np.float32)
    candidates = [lambda engine=engine: engine(x) for engine in engines]
    samples = measure(candidates, rounds=ROUNDS, inferences=INFERENCES)
    return [sample.percentile_ms(50) for sample in samples]
