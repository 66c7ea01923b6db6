"""Checks of what makes a machine slow: governor, clocks, heat, throttling, power."""

from edge_fer.doctor.device import Device, Finding
from edge_fer.sensors import Reading, read_sensors

HOT_C, TOO_HOT_C = 75.0, 85.0
_CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"
_EVERY_CPU = "/sys/devices/system/cpu/cpu*/cpufreq"
_UNDER_VOLTAGE = "under-voltage"
#: Its ``powersave`` adapts to the load, unlike that of other drivers.
_ADAPTIVE_DRIVERS = ("intel_pstate", "amd-pstate-epp")


def governor(device: Device) -> Finding:
    """Whether something lets the clock rise."""
    said = read_sensors(device.root, device.run).governor
    if said.value is None:
        return Finding("governor", "unknown", said.source)
    driver = device.text(f"{_CPUFREQ}/scaling_driver")
    if said.value not in ("powersave", "userspace") or driver in _ADAPTIVE_DRIVERS:
        return Finding("governor", "ok", str(said.value))
    better = "ondemand" if device.is_raspberry_pi else "schedutil"
    advice = f"echo {better} | sudo tee {_EVERY_CPU}/scaling_governor"
    return Finding("governor", "warn", f"{said.value}: the clock stays low", advice)


def clocks(device: Device) -> Finding:
    """Whether the clock may rise to what the processor can."""
    now = read_sensors(device.root, device.run).clock_mhz
    limit, best = (_mhz(device, name) for name in ("scaling_max_freq", "cpuinfo_max_freq"))
    if now.value is None:
        return Finding("clocks", "unknown", now.source)
    found = f"{now.value:.0f} MHz now" + (f", {limit:.0f} at most" if limit else "")
    if not limit or not best or limit >= best:
        return Finding("clocks", "ok", found)
    if device.target is not None and device.target.boot == "jetson":
        advice = (
            "grep POWER_MODEL /etc/nvpmodel.conf; sudo nvpmodel -m ID of the highest; "
            "sudo jetson_clocks"
        )
    else:
        advice = f"echo {best * 1000:.0f} | sudo tee {_EVERY_CPU}/scaling_max_freq"
    return Finding("clocks", "warn", f"{found}, of {best:.0f} MHz", advice)


def temperature(device: Device) -> Finding:
    """Whether the processor is far from slowing itself down."""
    said = read_sensors(device.root, device.run).temperature_c
    if said.value is None:
        return Finding("temperature", "unknown", said.source)
    found = f"{said.value:.0f} degrees C ({said.source})"
    advice = "fit a heat sink or a fan, then edge-fer bench --sustained 10"
    if said.value >= TOO_HOT_C:
        return Finding("temperature", "fail", found, advice)
    if said.value >= HOT_C:
        return Finding("temperature", "warn", found, advice)
    return Finding("temperature", "ok", found)


def throttling(device: Device) -> Finding:
    """Whether heat or a weak supply slows the machine, now or since it was started."""
    sensors = read_sensors(device.root, device.run)
    now, before = sensors.throttled, sensors.throttled_before
    if now.value:
        return Finding("throttling", "fail", f"now: {', '.join(now.value)}", _cure(device, now))
    if before.value:
        found = f"since the start: {', '.join(before.value)}"
        return Finding("throttling", "warn", found, _cure(device, before))
    if now.value is None and before.value is None:
        if device.target is not None and "vcgencmd" in device.target.telemetry:
            return Finding(
                "throttling",
                "warn",
                "vcgencmd is missing or may not be used",
                f"sudo apt install raspi-utils; sudo usermod -aG video {device.user}",
            )
        return Finding("throttling", "unknown", now.source)
    return Finding("throttling", "ok", "none since the start")


def power(device: Device) -> Finding:
    """What the machine takes, and in which mode it is, where that can be read."""
    said = read_sensors(device.root, device.run).power_w
    mode = (device.run(["nvpmodel", "-q"]) or "").splitlines()
    named = next((line.partition(":")[2].strip() for line in mode if "Power Mode" in line), "")
    if said.value is None:
        return Finding("power", "unknown", said.source)
    found = f"{said.value:.1f} W ({said.source})" + (f", mode {named}" if named else "")
    return Finding("power", "ok", found)


def _cure(device: Device, said: Reading) -> str:
    if _UNDER_VOLTAGE in said.value:
        return (
            "use the board's own supply (Raspberry Pi 5: 5 V, 5 A) and a short cable, restart, "
            "then vcgencmd get_throttled"
        )
    look = "vcgencmd measure_temp" if device.is_raspberry_pi else "edge-fer bench --sustained 10"
    return f"fit a heat sink or a fan, restart, then {look}"


def _mhz(device: Device, name: str) -> float | None:
    text = device.text(f"{_CPUFREQ}/{name}")
    return int(text) / 1e3 if text.isdecimal() else None
