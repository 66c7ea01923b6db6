"""What ``edge-fer flash`` is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_fer.errors import EdgeFerError
from edge_fer.target import Target

#: Told the stage (one of ``STAGES``), the bytes done, and the bytes in all.
Progress = Callable[[str, int, int], None]
#: Told what is to be overwritten; returns what the user typed.
Confirm = Callable[[str], str]
STAGES = ("check", "write", "verify")
JETSON = (
    "{name}: its images are not written here, because firmware and image must match: install "
    "JetPack with NVIDIA's tools, look at /etc/nv_tegra_release, then: "
    "edge-fer deploy {user}@{hostname} --target {name}"
)
NO_CARD = (
    "{name}: has no card that can be prepared; install its system, then: "
    "edge-fer deploy {user}@{hostname} --target {name}"
)


@dataclass(frozen=True, kw_only=True)
class FlashRequest:
    """A card to be made.

    Attributes:
        image: Of the system, packed or not.
        target: The device.
        out: A file, or a disk such as ``/dev/sdb``.
        release: Folder that ``edge-fer release`` made.
        hostname: Of the device.
        user: Who logs in.
        ssh_key: File with public keys.
        password_file: File with the user's password; none: keys only.
        wifi_ssid: Name of the network; empty for none.
        wifi_password_file: File with its passphrase.
        wifi_country: Two capitals.
        wifi_hidden: The network does not tell its name.
        signers: File with the public keys of those whose releases the device takes, this one and
            later ones; none: also unsigned ones.
        timezone: As in ``/usr/share/zoneinfo``.
        sha256: Of the image, packed or unpacked; else ``IMAGE.sha256`` is read, if there is one.
        force: Replace an existing file, and what another customisation left in the image.
        force_fixed: Take a disk that is neither a card nor on USB.
        yes: Do not ask before a disk is overwritten.
    """

    image: Path
    target: Target
    out: Path
    release: Path
    hostname: str
    user: str
    ssh_key: Path
    password_file: Path | None = None
    wifi_ssid: str = ""
    wifi_password_file: Path | None = None
    wifi_country: str = ""
    wifi_hidden: bool = False
    signers: Path | None = None
    timezone: str = "Etc/UTC"
    sha256: str = ""
    force: bool = False
    force_fixed: bool = False
    yes: bool = False

    def __post_init__(self) -> None:
        if self.target.boot != "raspberry-pi":
            text = JETSON if self.target.boot == "jetson" else NO_CARD
            names = {"name": self.target.name, "user": self.user, "hostname": self.hostname}
            raise EdgeFerError(text.format(**names))
        wifi = (bool(self.wifi_ssid), bool(self.wifi_password_file), bool(self.wifi_country))
        if any(wifi) and not all(wifi):
            raise EdgeFerError(
                "Wi-Fi needs all of --wifi-ssid, --wifi-password-file and --wifi-country"
            )
