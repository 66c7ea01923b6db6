"""Trees as the kernel's documentation and the boards' give them; no board was at hand."""

import pytest

from edge_fer.sensors import decode_throttled, energy_counter, read_sensors, run_quietly

CPU = "sys/devices/system/cpu"
THERMAL = "sys/class/thermal"
INA = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
RAPL = "sys/class/powercap/intel-rapl:0"

RASPBERRY_PI_5 = {
    f"{THERMAL}/thermal_zone0/type": "cpu-thermal",
    f"{THERMAL}/thermal_zone0/temp": "61350",
    **{f"{CPU}/cpu{n}/cpufreq/scaling_cur_freq": "2400000" for n in range(4)},
    f"{CPU}/cpu0/cpufreq/scaling_governor": "ondemand",
}
JETSON_ORIN_NANO = {
    f"{THERMAL}/thermal_zone0/type": "cpu-thermal",
    f"{THERMAL}/thermal_zone0/temp": "48500",
    f"{THERMAL}/thermal_zone1/type": "gpu-thermal",
    f"{THERMAL}/thermal_zone1/temp": "52000",
    f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "1510400",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "schedutil",
    f"{INA}/in1_label": "VDD_IN",
    f"{INA}/in1_input": "5024",
    f"{INA}/curr1_input": "1200",
    f"{INA}/in2_label": "VDD_CPU_GPU_CV",
    f"{INA}/in2_input": "5016",
    f"{INA}/curr2_input": "304",
}
LAPTOP = {
    f"{THERMAL}/thermal_zone0/type": "acpitz",
    f"{THERMAL}/thermal_zone0/temp": "27800",
    f"{THERMAL}/thermal_zone1/type": "x86_pkg_temp",
    f"{THERMAL}/thermal_zone1/temp": "71000",
    f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "0",
    f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "17",
    "proc/cpuinfo": "processor\t: 0\ncpu MHz\t\t: 1800.0\nprocessor\t: 1\ncpu MHz\t\t: 2200.0\n",
    f"{RAPL}/energy_uj": "900000",
    f"{RAPL}/max_energy_range_uj": "1000000",
}


@pytest.fixture
def plant(tmp_path):
    def write(tree):
        for name, text in tree.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return tmp_path

    return write


def nothing(_):
    return None


def test_a_raspberry_pi_tells_everything_but_power(plant):
    said = read_sensors(plant(RASPBERRY_PI_5), lambda _: "throttled=0x50005\n")
    assert said.values == {
        "temperature_c": 61.35,
        "clock_mhz": 2400.0,
        "throttled": ["under-voltage", "throttled"],
        "throttled_before": ["under-voltage", "throttled"],
        "power_w": None,
        "governor": "ondemand",
    }
    assert "meter" in said.sources["power_w"]


def test_a_jetson_tells_the_power_of_the_board(plant):
    said = read_sensors(plant(JETSON_ORIN_NANO), nothing)
    assert said.power_w.value == pytest.approx(5.024 * 1.2)
    assert "VDD_IN" in said.power_w.source
    assert said.temperature_c.value == 48.5
    assert said.throttled.value is None
    assert "vcgencmd" in said.throttled.source


def test_without_a_rail_of_the_whole_board_the_rails_are_summed(plant):
    tree = {key: text.replace("VDD_IN", "VDD_GPU") for key, text in JETSON_ORIN_NANO.items()}
    said = read_sensors(plant(tree), nothing)
    assert said.power_w.value == pytest.approx(5.024 * 1.2 + 5.016 * 0.304)
    assert "VDD_GPU, VDD_CPU_GPU_CV" in said.power_w.source


def test_a_pc_tells_its_package_and_past_throttling_only(plant):
    said = read_sensors(plant(LAPTOP), nothing)
    assert said.temperature_c.value == 71
    assert said.clock_mhz.value == 2000
    assert (said.throttled.value, said.throttled_before.value) == (None, ["throttled"])
    assert said.governor.value is None


def test_where_nothing_is_every_value_is_none_with_its_reason(tmp_path):
    said = read_sensors(tmp_path, nothing)
    assert set(said.values.values()) == {None}
    assert all(said.sources.values())


def test_a_zone_that_cannot_be_read_is_not_zero(plant):
    tree = {f"{THERMAL}/thermal_zone0/type": "cpu-thermal", f"{THERMAL}/thermal_zone0/temp": ""}
    assert read_sensors(plant(tree), nothing).temperature_c.value is None


@pytest.mark.parametrize(
    ("text", "now", "before"),
    [
        ("throttled=0x0", [], []),
        ("throttled=0x1", ["under-voltage"], []),
        ("throttled=0x2", ["frequency capped"], []),
        ("throttled=0x4", ["throttled"], []),
        ("throttled=0x8", ["soft temperature limit"], []),
        ("throttled=0x10000", [], ["under-voltage"]),
        ("throttled=0x20000", [], ["frequency capped"]),
        ("throttled=0x40000", [], ["throttled"]),
        ("throttled=0x80000", [], ["soft temperature limit"]),
        ("throttled=0xe0008", ["soft temperature limit"],
         ["frequency capped", "throttled", "soft temperature limit"]),
    ],
)  # fmt: skip
def test_every_bit_of_get_throttled_is_read(text, now, before):
    assert decode_throttled(text) == (now, before)


@pytest.mark.parametrize("text", ["", "VCHI initialization failed", "throttled=", "error=1"])
def test_what_is_no_answer_of_get_throttled_is_none(text):
    assert decode_throttled(text) is None


def test_a_command_that_is_missing_or_fails_says_nothing():
    assert run_quietly(["edge-fer-no-such-command"]) is None
    assert run_quietly(["false"]) is None
    assert run_quietly(["echo", "throttled=0x0"]) == "throttled=0x0\n"


def test_the_rapl_counter_starts_over_at_its_range(plant):
    read, source = energy_counter(plant(LAPTOP))
    assert "RAPL" in source
    assert read() == 0
    plant({f"{RAPL}/energy_uj": "950000"})
    assert read() == pytest.approx(0.05)
    plant({f"{RAPL}/energy_uj": "50000"})
    assert read() == pytest.approx(0.15)


def test_the_power_of_a_jetson_is_summed_over_time(plant):
    seconds = iter([10.0, 12.0])
    read, source = energy_counter(plant(JETSON_ORIN_NANO), lambda: next(seconds))
    assert "VDD_IN" in source
    assert read() == 0
    plant({f"{INA}/curr1_input": "2400"})
    assert read() == pytest.approx(2 * 5.024 * 1.8)


def test_without_a_sensor_there_is_no_energy(tmp_path):
    read, source = energy_counter(tmp_path)
    assert read() is None
    assert "no readable RAPL" in source
