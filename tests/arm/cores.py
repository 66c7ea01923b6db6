"""The processors of Raspberry Pis: what QEMU calls them, and what Linux says of them.

Inference engines choose their kernels by ``/proc/cpuinfo`` and ``/sys/devices/system/cpu``; those
of the machine underneath would mislead them.
"""

from dataclasses import dataclass
from pathlib import Path

COUNT = 4
CPUINFO = """\
processor\t: {number}
BogoMIPS\t: 108.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: {variant}
CPU part\t: {part}
CPU revision\t: {revision}

"""
ARMV8_0 = "fp asimd evtstrm crc32 cpuid"
ARMV8_2 = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp"
)


@dataclass(frozen=True, kw_only=True)
class Core:
    """A processor, four cores of it.

    Attributes:
        features: Of cpuinfo.
        variant: Major revision.
        part: Arm's number of it.
        revision: Minor revision.
        dot_products: It has INT8 dot products.
    """

    features: str
    variant: str
    part: str
    revision: int
    dot_products: bool

    def describe(self, folder: Path) -> None:
        """Writes ``cpuinfo`` and ``cpu/``, which is sysfs's folder."""
        facts = {"features": self.features, "variant": self.variant, "part": self.part}
        blocks = [
            CPUINFO.format(number=number, revision=self.revision, **facts)
            for number in range(COUNT)
        ]
        for number in range(COUNT):
            (folder / f"cpu/cpu{number}").mkdir(parents=True)
        (folder / "cpuinfo").write_text("".join(blocks))
        for name in ("possible", "present", "online"):
            (folder / "cpu" / name).write_text(f"0-{COUNT - 1}\n")


#: Raspberry Pi Zero 2 W, 4 and 5.
CORES = {
    "cortex-a53": Core(
        features=ARMV8_0, variant="0x0", part="0xd03", revision=4, dot_products=False
    ),
    "cortex-a72": Core(
        features=ARMV8_0, variant="0x0", part="0xd08", revision=3, dot_products=False
    ),
    "cortex-a76": Core(
        features=ARMV8_2, variant="0x4", part="0xd0b", revision=1, dot_products=True
    ),
}
