"""Temperature, clocks, throttling and power, as the kernel and the board tell them.

Every reading is a value, or ``None`` with the reason: never 0 for what cannot be read. The files
are found under a root, so that tests read recorded trees.
"""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path("/")
#: Bits of ``vcgencmd get_throttled``: what is so now, and 16 higher what was since the start.
THROTTLE_BITS = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}
SINCE_START = 16
Run = Callable[[Sequence[str]], str | None]


@dataclass(frozen=True)
class Reading:
    """One value.

    Attributes:
        value: ``None`` where it cannot be read.
        source: Where it is from, or why there is none.
    """

    value: Any
    source: str


@dataclass(frozen=True, kw_only=True)
class Sensors:
    """What the sensors say at one moment.

    Attributes:
        temperature_c: Of the processor, degrees Celsius.
        clock_mhz: Mean of the cores, MHz.
        throttled: Names of what slows the machine now; empty: nothing does.
        throttled_before: The same, since the start.
        power_w: Watts.
        governor: What chooses the clock.
    """

    temperature_c: Reading
    clock_mhz: Reading
    throttled: Reading
    throttled_before: Reading
    power_w: Reading
    governor: Reading

    @property
    def values(self) -> dict[str, Any]:
        """Plain values."""
        return {name: record["value"] for name, record in asdict(self).items()}

    @property
    def sources(self) -> dict[str, str]:
        """Where each is from, or why it is missing."""
        return {name: record["source"] for name, record in asdict(self).items()}


def run_quietly(command: Sequence[str]) -> str | None:
    """Returns what a command prints, ``None`` if it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def read_sensors(root: Path = ROOT, run: Run = run_quietly) -> Sensors:
    """Reads everything once.

    Args:
        root: Where ``sys`` and ``proc`` are found.
        run: Runs ``vcgencmd``.
    """
    now, before = _throttling(root, run)
    return Sensors(
        temperature_c=temperature(root),
        clock_mhz=_clock(root),
        throttled=now,
        throttled_before=before,
        power_w=_power(root),
        governor=_governor(root),
    )


def decode_throttled(text: str) -> tuple[list[str], list[str]] | None:
    """Reads ``throttled=0x50005``: what is so now, and what was since the start."""
    name, _, number = text.strip().partition("=")
    try:
        bits = int(number, 16)
    except ValueError:
        return None
    if name != "throttled":
        return None
    now = [what for bit, what in THROTTLE_BITS.items() if bits >> bit & 1]
    before = [what for bit, what in THROTTLE_BITS.items() if bits >> (bit + SINCE_START) & 1]
    return now, before


def temperature(root: Path = ROOT) -> Reading:
    """The processor's: its own zone by name, else the hottest zone or sensor that can be read."""
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    known = {_text(zone / "type") or zone.name: _number(zone / "temp") for zone in zones}
    celsius = {name: value / 1e3 for name, value in known.items() if value is not None}
    for word in ("cpu", "x86_pkg", "soc", ""):
        matching = {name: value for name, value in celsius.items() if word in name.lower()}
        if matching:
            hottest = max(matching, key=lambda name: matching[name])
            return Reading(matching[hottest], f"thermal zone {hottest}")
    return Reading(None, "no thermal zone in /sys/class/thermal can be read")


def _clock(root: Path) -> Reading:
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    khz = [value for value in map(_number, cores) if value]
    if khz:
        return Reading(sum(khz) / len(khz) / 1e3, "cpufreq")
    lines = (_text(root / "proc/cpuinfo") or "").splitlines()
    mhz = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    if mhz:
        return Reading(sum(mhz) / len(mhz), "/proc/cpuinfo")
    return Reading(None, "neither cpufreq nor /proc/cpuinfo tells it")


def _governor(root: Path) -> Reading:
    text = _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return Reading(text, "cpufreq") if text else Reading(None, "no cpufreq")


def _throttling(root: Path, run: Run) -> tuple[Reading, Reading]:
    decoded = decode_throttled(run(["vcgencmd", "get_throttled"]) or "")
    if decoded:
        now, before = decoded
        return Reading(now, "vcgencmd get_throttled"), Reading(before, "vcgencmd get_throttled")
    counts = (root / "sys/devices/system/cpu").glob(
        "cpu[0-9]*/thermal_throttle/core_throttle_count"
    )
    events = [value for value in map(_number, counts) if value is not None]
    if events:
        source = "core_throttle_count: events since the start, not the present"
        was = [THROTTLE_BITS[2]] if any(events) else []
        return Reading(None, source), Reading(was, "core_throttle_count")
    reason = "no vcgencmd (Raspberry Pi) and no thermal_throttle counters"
    return Reading(None, reason), Reading(None, reason)


def _power(root: Path) -> Reading:
    """A Jetson's INA3221 rail for the whole board; else every rail of it together."""
    rails: dict[str, float] = {}
    for folder in sorted((root / "sys/bus/i2c/drivers/ina3221").glob("*/hwmon/hwmon*")):
        for label in sorted(folder.glob("in*_label")):
            channel = label.name.removeprefix("in").removesuffix("_label")
            millivolts = _number(folder / f"in{channel}_input")
            milliamperes = _number(folder / f"curr{channel}_input")
            if millivolts is not None and milliamperes is not None:
                rails[_text(label) or channel] = millivolts * milliamperes / 1e6
    for name in ("VDD_IN", "POM_5V_IN"):
        if name in rails:
            return Reading(rails[name], f"INA3221 {name}, the whole board")
    if rails:
        return Reading(sum(rails.values()), f"INA3221, sum of {', '.join(rails)}")
    return Reading(None, "no INA3221 (Jetson); other boards need a meter")


def energy_counter(
    root: Path = ROOT, now_s: Callable[[], float] = time.perf_counter
) -> tuple[Callable[[], float | None], str]:
    """Returns what reads a rising count of joules, and where it is from or why there is none.

    RAPL counts the processor package; the INA3221's power is summed over time between readings.

    Args:
        root: Where ``sys`` is found.
        now_s: Seconds.
    """
    package = root / "sys/class/powercap/intel-rapl:0"
    if _number(package / "energy_uj") is not None:
        return _RaplCounter(package), "RAPL, the processor package"
    power = _power(root)
    if power.value is not None:
        return _PowerSum(root, now_s), power.source
    return lambda: None, f"no readable RAPL counter; {power.source}"


class _RaplCounter:
    """Joules since the first reading; the kernel's counter starts over at its range."""

    def __init__(self, package: Path) -> None:
        self._package = package
        self._last_uj: float | None = None
        self._total_uj = 0.0

    def __call__(self) -> float | None:
        now_uj = _number(self._package / "energy_uj")
        if now_uj is None:
            return None
        if self._last_uj is not None:
            step_uj = now_uj - self._last_uj
            range_uj = _number(self._package / "max_energy_range_uj") or 0
            self._total_uj += step_uj if step_uj >= 0 else step_uj + range_uj
        self._last_uj = now_uj
        return self._total_uj / 1e6


class _PowerSum:
    """Joules since the first reading, by the mean of the watts at both ends of each span."""

    def __init__(self, root: Path, now_s: Callable[[], float]) -> None:
        self._root, self._now_s = root, now_s
        self._last: tuple[float, float] | None = None
        self._total_j = 0.0

    def __call__(self) -> float | None:
        watts, at_s = _power(self._root).value, self._now_s()
        if watts is None:
            return None
        if self._last is not None:
            self._total_j += (watts + self._last[1]) / 2 * (at_s - self._last[0])
        self._last = at_s, watts
        return self._total_j


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None
