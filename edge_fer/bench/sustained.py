"""``--sustained``: minute after minute of one model, with what the sensors say meanwhile.

The ranking in minute 1 is not the ranking in minute 30: a board without a fan slows down.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fer.bench.statistics import Interval, unpaired_ratio, verdict
from edge_fer.sensors import Sensors, read_sensors

SECOND_NS, MINUTE_S = 1_000_000_000, 60


@dataclass(frozen=True, kw_only=True)
class Minute:
    """One minute.

    Attributes:
        wall_ms: Every inference.
        second_p50_ms: Median of each second of it.
        sensors: At its end.
    """

    wall_ms: np.ndarray
    second_p50_ms: np.ndarray
    sensors: Sensors

    def to_dict(self, number: int) -> dict[str, Any]:
        """Returns plain values."""
        p50_ms, p90_ms = np.percentile(self.wall_ms, [50, 90]).tolist()
        head = {"minute": number, "inferences": len(self.wall_ms)}
        return head | {"p50_ms": p50_ms, "p90_ms": p90_ms} | self.sensors.values


def sustain(
    run: Callable[[], object],
    minutes: int,
    *,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
    sensors: Callable[[], Sensors] = read_sensors,
    on_minute: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Runs one inference after the other for some minutes.

    Args:
        run: One inference.
        minutes: How many.
        clock_ns: Nanoseconds that pass.
        sensors: Reads the sensors, once before and at the end of each minute.
        on_minute: Called with the number of each finished minute.

    Returns:
        ``minutes`` (``p50_ms``, ``p90_ms`` and the sensors' values), ``before`` (sensors),
        ``sources`` (of the sensors), ``ratio`` of the last minute to the first with ``ratio_ci95``,
        ``change`` (noise, faster or slower) and ``verdict`` in words.
    """
    before = sensors()
    done: list[Minute] = []
    for number in range(1, minutes + 1):
        done.append(_run_minute(run, clock_ns, sensors))
        on_minute(number)
    ratio = unpaired_ratio(done[-1].second_p50_ms, done[0].second_p50_ms)
    return {
        "minutes": [minute.to_dict(number) for number, minute in enumerate(done, 1)],
        "before": before.values,
        "sources": before.sources,
        "ratio": ratio.value,
        "ratio_ci95": ratio.bounds,
        "change": verdict(ratio) if minutes > 1 else "noise",
        "verdict": _words(ratio, before, done),
    }


def _run_minute(
    run: Callable[[], object], clock_ns: Callable[[], int], sensors: Callable[[], Sensors]
) -> Minute:
    marks = [clock_ns()]
    end_ns = marks[0] + MINUTE_S * SECOND_NS
    while marks[-1] < end_ns:
        run()
        marks.append(clock_ns())
    at_ns = np.array(marks)
    wall_ms = np.diff(at_ns) / 1e6
    second_of = (at_ns[:-1] - at_ns[0]) // SECOND_NS
    starts = np.flatnonzero(np.diff(second_of, prepend=-1))
    medians_ms = [float(np.median(part)) for part in np.split(wall_ms, starts[1:])]
    return Minute(wall_ms=wall_ms, second_p50_ms=np.array(medians_ms), sensors=sensors())


def _words(ratio: Interval, before: Sensors, minutes: list[Minute]) -> str:
    if len(minutes) < 2:
        return "one minute: nothing to compare it with"
    change, count = verdict(ratio), len(minutes)
    low, high = 100 * (ratio.low - 1), 100 * (ratio.high - 1)
    if change == "noise":
        sentence = f"steady: minute {count} differs from minute 1 by {low:+.1f} to {high:+.1f} %"
    else:
        sentence = (
            f"{change}: minute {count} takes {100 * (ratio.value - 1):+.1f} % "
            f"({low:+.1f} to {high:+.1f}) of minute 1's time"
        )
    causes = _causes(before, minutes)
    return f"{sentence}; {'; '.join(causes)}" if causes else sentence


def _causes(before: Sensors, minutes: list[Minute]) -> list[str]:
    """What the sensors say beside it."""
    causes = []
    seen = [flag for minute in minutes for flag in minute.sensors.throttled.value or ()]
    if seen:
        causes.append(f"the board reported: {', '.join(dict.fromkeys(seen))}")
    first, last = minutes[0].sensors, minutes[-1].sensors
    if first.clock_mhz.value and last.clock_mhz.value:
        causes.append(f"clock {first.clock_mhz.value:.0f} to {last.clock_mhz.value:.0f} MHz")
    if before.temperature_c.value is not None and last.temperature_c.value is not None:
        causes.append(f"{before.temperature_c.value:.0f} to {last.temperature_c.value:.0f} °C")
    if first.throttled.value is None and last.temperature_c.value is None:
        causes.append("no sensor here tells temperature or throttling")
    return causes
