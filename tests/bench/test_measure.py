from types import SimpleNamespace

import numpy as np
import pytest

from edge_fer.bench import measure as measuring
from edge_fer.bench.measure import Samples, measure


class Clock:
    """Time that passes only when a candidate says so."""

    def __init__(self):
        self.wall_ns = self.cpu_ns = 0

    def work(self, wall_ms, cpu_ms=0.0):
        def run():
            self.wall_ns += round(wall_ms * 1e6)
            self.cpu_ns += round(cpu_ms * 1e6)

        return run


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    time = SimpleNamespace(
        perf_counter_ns=lambda: clock.wall_ns, process_time_ns=lambda: clock.cpu_ns
    )
    monkeypatch.setattr(measuring, "time", time)
    return clock


def test_known_latencies_are_reported_exactly(clock):
    fast, slow = measure(
        [clock.work(2.0, 4.0), clock.work(30.0, 10.0)], rounds=3, inferences=4, warmup=2
    )
    assert fast.wall_ms.tolist() == [2.0] * 12
    assert slow.wall_ms.tolist() == [30.0] * 12
    assert fast.cpu_ms.tolist() == [4.0] * 3
    assert slow.cpu_ms.tolist() == [10.0] * 3


def test_a_known_latency_is_reported_within_two_percent_beside_a_known_drift(clock):
    """One candidate of 10 ms, another that gets 1 % slower each round."""
    rounds = [1]

    def drifting():
        clock.work(20 * (1 + 0.01 * (rounds[0] - 1)))()

    steady, drifted = measure(
        [clock.work(10.0), drifting],
        rounds=21,
        inferences=5,
        on_round=lambda number: rounds.__setitem__(0, number + 1),
    )
    assert steady.percentile_ms(50) == pytest.approx(10, rel=0.02)
    assert drifted.percentile_ms(50) == pytest.approx(20 * 1.10, rel=0.02)
    first, *_, last = drifted.round_p50_ms
    assert last / first == pytest.approx(1.20, rel=0.02)


def test_the_median_of_each_round_is_kept(clock):
    latencies = iter([1.0, 2.0, 9.0, 4.0, 5.0, 6.0])
    (samples,) = measure([lambda: clock.work(next(latencies))()], rounds=2, inferences=3, warmup=0)
    assert samples.round_p50_ms.tolist() == [2, 5]


def test_energy_is_of_one_inference_and_none_without_a_sensor(clock):
    joules = iter([0.0, 0.1, 0.5, 0.7])
    (samples,) = measure([clock.work(1.0)], rounds=2, inferences=10, energy_j=lambda: next(joules))
    assert samples.energy_mj == pytest.approx(15)
    (samples,) = measure([clock.work(1.0)], rounds=1, inferences=1)
    assert samples.energy_mj is None


def test_every_single_inference_is_kept_outliers_too(clock):
    latencies = iter([1.0, 2.0, 3.0, 100.0])
    (samples,) = measure([lambda: clock.work(next(latencies))()], rounds=2, inferences=2, warmup=0)
    assert samples.wall_ms.tolist() == [1.0, 2.0, 3.0, 100.0]


def test_warmup_is_not_timed(clock):
    latencies = iter([500.0, 400.0, 1.0, 1.0])
    (samples,) = measure([lambda: clock.work(next(latencies))()], rounds=1, inferences=2, warmup=2)
    assert samples.wall_ms.tolist() == [1.0, 1.0]


def test_each_round_runs_every_candidate_before_the_next_round(clock):
    calls, ends = [], []
    measure(
        [lambda: calls.append("a"), lambda: calls.append("b"), lambda: calls.append("c")],
        rounds=8,
        inferences=3,
        warmup=1,
        on_round=lambda number: ends.append((number, len(calls))),
    )
    assert ends == [(number, 12 * number) for number in range(1, 9)]
    orders = set()
    for start in range(0, len(calls), 12):
        block = calls[start : start + 12]
        order = block[::4]
        assert block == [name for name in order for _ in range(4)]
        assert sorted(order) == ["a", "b", "c"]
        orders.add(tuple(order))
    assert len(orders) > 1


def test_the_order_of_rounds_is_reproducible(clock):
    def order(seed):
        calls = []
        candidates = [lambda: calls.append(0), lambda: calls.append(1), lambda: calls.append(2)]
        measure(candidates, rounds=10, inferences=1, warmup=0, seed=seed)
        return calls

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_a_slow_spell_of_the_machine_hits_all_candidates_alike(clock):
    slow_round = [1]

    def candidate():
        clock.work(10.0 if slow_round[0] == 3 else 1.0)()

    samples = measure(
        [candidate, candidate],
        rounds=5,
        inferences=2,
        warmup=0,
        on_round=lambda number: slow_round.__setitem__(0, number + 1),
    )
    assert [sorted(s.wall_ms.tolist()) for s in samples] == [[1.0] * 8 + [10.0] * 2] * 2


def test_percentiles_are_of_the_wall_time():
    samples = Samples(wall_ms=np.arange(101.0), cpu_ms=np.zeros(1), load=None)
    assert [samples.percentile_ms(p) for p in (50, 90, 99)] == [50.0, 90.0, 99.0]


def test_the_load_is_the_mean_over_the_rounds_or_none(clock, monkeypatch):
    loads = iter([1.0, 2.0, 6.0])
    monkeypatch.setattr(measuring, "load_1min", lambda: next(loads))
    (samples,) = measure([clock.work(1.0)], rounds=3, inferences=1)
    assert samples.load == 3.0
    monkeypatch.setattr(measuring, "load_1min", lambda: None)
    (samples,) = measure([clock.work(1.0)], rounds=3, inferences=1)
    assert samples.load is None
