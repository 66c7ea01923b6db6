import numpy as np
import pytest

from edge_fer.bench.sustained import sustain
from edge_fer.sensors import Reading, Sensors

MS = 1_000_000


def sensors(temperature_c=50.0, clock_mhz=2400.0, throttled=()):
    none = Reading(None, "none here")
    return Sensors(
        temperature_c=Reading(temperature_c, "t"),
        clock_mhz=Reading(clock_mhz, "c"),
        throttled=Reading(list(throttled) if throttled is not None else None, "v"),
        throttled_before=none,
        power_w=none,
        governor=none,
    )


class Machine:
    """A clock that an inference moves on; it takes longer each minute."""

    def __init__(self, ms_by_minute, seed=0):
        self.now_ns, self.ms_by_minute = 0, ms_by_minute
        self.rng = np.random.default_rng(seed)

    def infer(self):
        minute = min(self.now_ns // (60_000 * MS), len(self.ms_by_minute) - 1)
        self.now_ns += round(self.ms_by_minute[minute] * self.rng.lognormal(0, 0.02) * MS)

    def run(self, minutes, read=sensors, **options):
        return sustain(self.infer, minutes, clock_ns=lambda: self.now_ns, sensors=read, **options)


def test_a_steady_model_is_called_steady():
    done = []
    document = Machine([20.0]).run(3, on_minute=done.append)
    assert done == [1, 2, 3]
    assert document["change"] == "noise"
    assert document["verdict"].startswith("steady: minute 3")
    for minute in document["minutes"]:
        assert minute["p50_ms"] == pytest.approx(20, rel=0.02)
        assert minute["inferences"] == pytest.approx(3000, rel=0.02)


def test_a_known_drift_is_reported_within_two_percent_with_its_cause():
    readings = iter([sensors(45), sensors(60), sensors(75), sensors(84, 1500, ["throttled"])])
    document = Machine([20.0, 22.0, 26.0]).run(3, lambda: next(readings))
    assert [minute["p50_ms"] for minute in document["minutes"]] == pytest.approx(
        [20, 22, 26], rel=0.02
    )
    assert document["ratio"] == pytest.approx(1.3, rel=0.02)
    low, high = document["ratio_ci95"]
    assert low < 1.3 < high
    assert document["change"] == "slower"
    for words in ("+30", "throttled", "2400 to 1500 MHz", "45 to 84 °C"):
        assert words in document["verdict"]


def test_where_no_sensor_is_the_verdict_says_so():
    document = Machine([20.0]).run(2, lambda: sensors(None, None, None))
    assert "no sensor here" in document["verdict"]
    assert document["minutes"][0]["temperature_c"] is None
    assert document["sources"]["power_w"] == "none here"


def test_one_minute_has_nothing_to_be_compared_with():
    document = Machine([20.0]).run(1)
    assert document["change"] == "noise"
    assert "nothing to compare" in document["verdict"]


def test_an_inference_longer_than_a_second_is_counted_once():
    document = Machine([2500.0]).run(2)
    assert document["minutes"][0]["inferences"] in (24, 25)
    assert document["minutes"][0]["p50_ms"] == pytest.approx(2500, rel=0.02)
