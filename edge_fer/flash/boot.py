"""What is put onto a boot partition: the release, and what runs it at the first boot."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fer.errors import EdgeFerError
from edge_fer.flash.fat import PIECE_BYTES, FatVolume
from edge_fer.provision import BOOT, FirstBoot, cloud_init_files, firstrun_script

FOLDER = "edge-fer"
#: Beside the release; the first boot puts it into /etc/edge-fer before it installs.
SIGNERS = "allowed_signers"
COMMAND_LINE = "cmdline.txt"
#: Says that, and by what, a card was customised; holds no secrets.
MARKER = "edge-fer-card.json"
INSTEAD = "use Raspberry Pi OS 12 or 13, or edge-fer deploy"
MARKER_SCHEMA = "edge-fer/card/1"
COUNTRY = "cfg80211.ieee80211_regdom="
#: First release of Raspberry Pi OS that mounts its boot partition at /boot/firmware.
OLDEST = "2023-10-10"
#: In the README of a boot partition that takes cloud-init too.
UBUNTU = b"used by the Ubuntu boot process"


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One way to have something done at the first boot.

    Attributes:
        system: Code name of the system that has it, for the release's Python.
        replaced: Beginnings of words on the kernel's command line that it replaces.
        words: What it puts there.
        files: Texts by name.
    """

    system: str
    replaced: tuple[str, ...]
    words: Callable[[FirstBoot], tuple[str, ...]]
    files: Callable[[FirstBoot], dict[str, str]]


def _cloud_init_words(boot: FirstBoot) -> tuple[str, ...]:
    return (f"ds=nocloud;i={boot.instance_id}",)


def _firstrun_words(_: FirstBoot) -> tuple[str, ...]:
    return (
        f"systemd.run={BOOT}/firstrun.sh",
        "systemd.run_success_action=reboot",
        "systemd.unit=kernel-command-line.target",
    )


def _firstrun_files(boot: FirstBoot) -> dict[str, str]:
    return {"firstrun.sh": firstrun_script(boot)}


HOOKS = {
    "cloud-init": Hook(
        system="trixie", replaced=("ds=",), words=_cloud_init_words, files=cloud_init_files
    ),
    "firstrun": Hook(
        system="bookworm",
        replaced=("systemd.run", "systemd.unit="),
        words=_firstrun_words,
        files=_firstrun_files,
    ),
}


def detect_hook(volume: FatVolume) -> str:
    """Returns the key of ``HOOKS`` that the image's system understands.

    Raises:
        EdgeFerError: It is no known system.
    """
    if volume.is_file(COMMAND_LINE):
        if volume.is_file("user-data") and volume.is_file("meta-data"):
            if volume.is_file("README") and UBUNTU in volume.read("README"):
                raise EdgeFerError(f"it is Ubuntu, which has another Python; {INSTEAD}")
            return "cloud-init"
        issue = (
            volume.read("issue.txt").decode(errors="replace") if volume.is_file("issue.txt") else ""
        )
        made = re.match(r"Raspberry Pi reference (\d{4}-\d\d-\d\d)", issue)
        if made and made[1] >= OLDEST:
            return "firstrun"
    raise EdgeFerError(
        "its boot partition has neither cloud-init's files nor those of Raspberry Pi OS 12: what "
        f"would be put there would not run; {INSTEAD}"
    )


def refuse_customised(volume: FatVolume) -> None:
    """Raises ``EdgeFerError`` if somebody has already prepared the first boot."""
    if volume.is_file(MARKER) or volume.is_file(f"{FOLDER}/release.json"):
        raise EdgeFerError("edge-fer is on it already; take a fresh image, or give --force")
    if volume.is_file("firstrun.sh"):
        raise EdgeFerError("it has a firstrun.sh already; take a fresh image, or give --force")


def put_files(
    volume: FatVolume, hook: str, boot: FirstBoot, release: Path, document: Mapping[str, Any]
) -> dict[str, str]:
    """Writes everything; what starts it, the command line, comes last.

    Args:
        volume: The boot partition.
        hook: Key of ``HOOKS``.
        boot: What the first boot sets up.
        release: Its folder.
        document: Its ``release.json``.

    Returns:
        SHA-256 of the files by path.
    """
    line = volume.read(COMMAND_LINE).decode("ascii", "replace")
    texts = {
        **({f"{FOLDER}/{SIGNERS}": boot.signers} if boot.signers else {}),
        **HOOKS[hook].files(boot),
        MARKER: _marker(hook, boot, document),
        COMMAND_LINE: new_command_line(line, hook, boot),
    }
    volume.remove_tree(FOLDER)
    digests = {
        f"{FOLDER}/{name}": volume.write(f"{FOLDER}/{name}", _pieces(release / name))
        for name in _release_files(release, document)
    }
    digests |= {name: volume.write(name, [text.encode()]) for name, text in texts.items()}
    for name, record in document["files"].items():
        if digests[f"{FOLDER}/{name}"] != record["sha256"]:
            raise EdgeFerError(f"{release / name} changed while it was put onto the boot partition")
    return digests


def new_command_line(line: str, hook: str, boot: FirstBoot) -> str:
    """Returns the kernel's command line with what starts the hook.

    Args:
        line: As the image has it.
        hook: Key of ``HOOKS``.
        boot: What the first boot sets up.

    Raises:
        EdgeFerError: It is not one line of ASCII.
    """
    lines = line.strip().splitlines()
    if len(lines) != 1 or not lines[0].isascii():
        raise EdgeFerError(f"its {COMMAND_LINE} is not one line of ASCII")
    country = (f"{COUNTRY}{boot.wifi_country}",) if boot.wifi_country else ()
    replaced = HOOKS[hook].replaced + ((COUNTRY,) if country else ())
    kept = [word for word in lines[0].split() if not word.startswith(replaced)]
    return " ".join([*kept, *country, *HOOKS[hook].words(boot)]) + "\n"


def _release_files(release: Path, document: Mapping[str, Any]) -> list[str]:
    """What a release lists, what lists it, and its signature, if it has one."""
    signature = ["release.sig"] if (release / "release.sig").is_file() else []
    return [*sorted(document["files"]), *signature, "release.json"]


def _marker(hook: str, boot: FirstBoot, document: Mapping[str, Any]) -> str:
    told = {
        "schema": MARKER_SCHEMA,
        "hook": hook,
        "hostname": boot.hostname,
        "instance_id": boot.instance_id,
        "release": document["id"],
        "target": document["target"],
    }
    return json.dumps(told, indent=1) + "\n"


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from iter(lambda: stream.read(PIECE_BYTES), b"")
