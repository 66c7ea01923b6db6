"""What a device is, from ``targets/NAME/profile.toml``, and which of them this one is."""

import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from edge_fer.errors import EdgeFerError
from edge_fer.resources import find_resource, resource_names

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "edge-fer/target/1"
ROOT = Path("/")
BOOTS = ("raspberry-pi", "jetson", "none")
_LISTS = ("architectures", "engines", "models", "platforms", "groups", "devices", "telemetry")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A device.

    Attributes:
        name: Of its folder.
        description: For people.
        architectures: What ``platform.machine()`` says there.
        engines: The preferred one first.
        verified: Where and how the profile was tried.
        models: How the board's name begins in the device tree; none: any of the architecture.
        cpu: The processor.
        cores: Of the processor; 0: differs.
        memory_mb: Of the board, the smallest that is sold; 0: differs.
        disk_mb: Free space that a deployment needs.
        python: Tag of the Python of the system that is written to cards by default.
        pythons: Python tag of each system, by ``VERSION_CODENAME`` of its ``os-release``.
        platforms: Platform tags of wheels, as ``pip download --platform`` takes them.
        camera: Source for ``edge-fer run``.
        boot: One of ``BOOTS``: how a first boot is prepared.
        groups: Of the service's user, where they exist.
        devices: What the service may open, as for systemd's ``DeviceAllow``; none: everything.
        private_tmp: The service has a /tmp of its own.
        telemetry: Where temperature, clocks, throttling and power are read.
    """

    name: str
    description: str
    architectures: tuple[str, ...]
    engines: tuple[str, ...]
    verified: str
    models: tuple[str, ...] = ()
    cpu: str = ""
    cores: int = 0
    memory_mb: int = 0
    disk_mb: int = 0
    python: str = ""
    pythons: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    camera: str = "camera"
    boot: str = "none"
    groups: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    private_tmp: bool = True
    telemetry: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.type in (str, int, bool) and type(value) is not one.type:
                raise TypeError(f"{one.name} is {value!r}")
        if self.boot not in BOOTS:
            raise ValueError(f"boot is none of {', '.join(BOOTS)}")

    def fits(self, architecture: str, model: str) -> bool:
        """Whether a machine is one of these."""
        known_board = not self.models or model.startswith(self.models)
        return architecture in self.architectures and known_board


def read_target(path: Path) -> Target:
    """Reads a profile.

    Raises:
        EdgeFerError: The file is not TOML or does not follow the schema.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        if document.pop("schema") != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        document |= {key: _texts(key, document[key]) for key in _LISTS if key in document}
        _texts("pythons", [*document.get("pythons", {}).values()])
        return Target(name=path.parent.name, **document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EdgeFerError(f"{path}: not a readable target profile ({error})") from error


def this_target(root: Path = ROOT, architecture: str | None = None) -> Target:
    """Returns the profile of this machine: of its board, else of its architecture.

    Args:
        root: Where ``proc`` is found; tests give a recorded tree.
        architecture: As ``platform.machine()`` says it, which it is by default.

    Raises:
        EdgeFerError: There is none.
    """
    own = architecture or platform.machine()
    found = next(_fitting(own, board_model(root)), None)
    if found is None:
        known = ", ".join(resource_names("target"))
        raise EdgeFerError(f"no target profile for {own}; there are {known} (targets/README.md)")
    return found


def preferred_engines(architecture: str | None = None, root: Path = ROOT) -> tuple[str, ...]:
    """Returns the engines that this machine's profile prefers; none if it has no profile."""
    fitting = _fitting(architecture or platform.machine(), board_model(root))
    return next((target.engines for target in fitting), ())


def board_model(root: Path = ROOT) -> str:
    """Returns the board's name in the device tree, empty where there is none."""
    try:
        return (root / "proc/device-tree/model").read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _fitting(architecture: str, model: str) -> Iterator[Target]:
    """Profiles that fit, boards before families of them."""
    targets = (read_target(find_resource("target", name)) for name in resource_names("target"))
    fitting = [target for target in targets if target.fits(architecture, model)]
    yield from sorted(fitting, key=lambda target: not target.models)


def _texts(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{key} is not a list of texts")
    return tuple(value)
