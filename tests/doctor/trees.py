"""Small trees as the boards' kernels and systems show them, and what their tools say.

Put together from documentation and logs that people publish; no board was at hand.
"""

CPUFREQ = "sys/devices/system/cpu/cpu0/cpufreq"
THERMAL = "sys/class/thermal/thermal_zone0"
VIDEO = "sys/class/video4linux"
INA = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
TIME = ("timedatectl", "show", "--value", "--property")
SERVICE_UP = "LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\n"


def memory(total_kb, available_kb, swap_total_kb, swap_free_kb):
    return (
        f"MemTotal:       {total_kb} kB\nMemFree:        1000 kB\n"
        f"MemAvailable:   {available_kb} kB\n"
        f"SwapTotal:      {swap_total_kb} kB\nSwapFree:       {swap_free_kb} kB\n"
    )


def frequencies(governor, now, limit, best, driver="cpufreq-dt"):
    return {
        f"{CPUFREQ}/scaling_governor": governor,
        f"{CPUFREQ}/scaling_driver": driver,
        f"{CPUFREQ}/scaling_cur_freq": str(now),
        f"{CPUFREQ}/scaling_max_freq": str(limit),
        f"{CPUFREQ}/cpuinfo_max_freq": str(best),
    }


def video(names, indices=None):
    tree = {}
    for number, name in names.items():
        tree[f"{VIDEO}/video{number}/name"] = name
        tree[f"{VIDEO}/video{number}/index"] = str((indices or {}).get(number, 0))
        tree[f"dev/video{number}"] = ""
    return tree


def raspberry_pi_os(codename, number):
    return (
        f'PRETTY_NAME="Debian GNU/Linux {number} ({codename})"\nVERSION_ID="{number}"\n'
        f"VERSION_CODENAME={codename}\nID=debian\n"
    )


PI_MOUNTS = "proc /proc proc rw 0 0\n/dev/mmcblk0p2 / ext4 rw,noatime 0 0\n"

RASPBERRY_PI_5 = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0",
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\nCPU part\t: 0xd0b\n",
    "proc/meminfo": memory(8_255_440, 7_100_000, 2_097_136, 2_097_136),
    "proc/mounts": PI_MOUNTS,
    "etc/os-release": raspberry_pi_os("trixie", 13),
    f"{THERMAL}/type": "cpu-thermal",
    f"{THERMAL}/temp": "52350",
    **frequencies("ondemand", 2_400_000, 2_400_000, 2_400_000),
    **video({0: "rp1-cfe-csi2_ch0", 20: "pispbe-input", 23: "pispbe-output0", 19: "rpi-hevc-dec"}),
}
RASPBERRY_PI_5_SAYS = {
    ("vcgencmd", "get_throttled"): "throttled=0x0\n",
    ("rpicam-hello", "--list-cameras"): (
        "Available cameras\n-----------------\n"
        "0 : imx708 [4608x2592 10-bit RGGB] (/base/axi/pcie@1000120000/rp1/i2c@88000/imx708@1a)\n"
        "    Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]\n"
    ),
    (*TIME, "NTPSynchronized"): "yes\n",
    (*TIME, "NTP"): "yes\n",
    ("systemctl",): SERVICE_UP,
}

#: On a weak supply, with a full card, Bookworm, and a USB camera.
RASPBERRY_PI_ZERO_2W = {
    "proc/device-tree/model": "Raspberry Pi Zero 2 W Rev 1.0\0",
    "proc/device-tree/compatible": "raspberrypi,model-zero-2-w\0brcm,bcm2837\0",
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 38.40\nCPU part\t: 0xd03\n",
    "proc/meminfo": memory(426_508, 190_000, 0, 0),
    "proc/mounts": PI_MOUNTS,
    "etc/os-release": raspberry_pi_os("bookworm", 12),
    f"{THERMAL}/type": "cpu-thermal",
    f"{THERMAL}/temp": "78900",
    **frequencies("powersave", 600_000, 600_000, 1_000_000),
    **video(
        {
            0: "HD Webcam: HD Webcam",
            1: "HD Webcam: HD Webcam",
            10: "bcm2835-codec-decode",
            13: "bcm2835-isp-output0",
        },
        {1: 1},
    ),
}
RASPBERRY_PI_ZERO_2W_SAYS = {
    ("vcgencmd", "get_throttled"): "throttled=0x50005\n",
    ("rpicam-hello", "--list-cameras"): "No cameras available!\n",
    (*TIME, "NTPSynchronized"): "no\n",
    (*TIME, "NTP"): "no\n",
    ("systemctl",): "LoadState=loaded\nActiveState=failed\nSubState=failed\nNRestarts=12\n",
}

JETSON_ORIN_NANO = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005-super\0nvidia,tegra234\0",
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: ARMv8 Processor rev 1 (v8l)\n",
    "proc/meminfo": memory(7_802_184, 5_900_000, 3_901_088, 3_901_088),
    "proc/mounts": "/dev/nvme0n1p1 / ext4 rw,relatime 0 0\n",
    "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nVERSION_CODENAME=jammy\nID=ubuntu\n',
    "etc/nv_tegra_release": (
        "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
    ),
    f"{THERMAL}/type": "cpu-thermal",
    f"{THERMAL}/temp": "48500",
    **frequencies("schedutil", 1_344_000, 1_344_000, 1_728_000, "tegra194"),
    f"{INA}/in1_label": "VDD_IN",
    f"{INA}/in1_input": "5024",
    f"{INA}/curr1_input": "1200",
    **video({0: "vi-output, imx219 9-0010"}),
}
JETSON_ORIN_NANO_SAYS = {
    ("nvpmodel", "-q"): "NV Power Mode: 15W\n0\n",
    (*TIME, "NTPSynchronized"): "yes\n",
    (*TIME, "NTP"): "yes\n",
    ("systemctl",): "LoadState=not-found\nActiveState=inactive\nSubState=dead\nNRestarts=0\n",
}

PC = {
    "proc/cpuinfo": (
        "processor\t: 0\nvendor_id\t: GenuineIntel\n"
        "model name\t: Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz\ncpu MHz\t\t: 1800.0\n"
    ),
    "proc/meminfo": memory(16_000_000, 9_000_000, 2_000_000, 1_900_000),
    "proc/mounts": "/dev/nvme0n1p2 / ext4 rw,relatime 0 0\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n',
    f"{THERMAL}/type": "x86_pkg_temp",
    f"{THERMAL}/temp": "47000",
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "0",
    **frequencies("powersave", 1_800_000, 3_400_000, 3_400_000, "intel_pstate"),
}
PC_SAYS = {(*TIME, "NTPSynchronized"): "yes\n", (*TIME, "NTP"): "yes\n"}
