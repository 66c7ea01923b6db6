"""What a device is, from ``targets/NAME/profile.toml``."""

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from edge_fer.errors import EdgeFerError
from edge_fer.resources import find_resource, resource_names

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "edge-fer/target/1"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A device.

    Attributes:
        name: Of its folder.
        description: For people.
        architectures: What ``platform.machine()`` says there.
        engines: The preferred one first.
        verified: Where and how the profile was tried.
    """

    name: str
    description: str
    architectures: tuple[str, ...]
    engines: tuple[str, ...]
    verified: str


def read_target(path: Path) -> Target:
    """Reads a profile.

    Raises:
        EdgeFerError: The file is not TOML or does not follow the schema.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        if document.pop("schema") != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        document |= {key: tuple(document[key]) for key in ("architectures", "engines")}
        return Target(name=path.parent.name, **document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EdgeFerError(f"{path}: not a readable target profile ({error})") from error


def preferred_engines(architecture: str | None = None) -> tuple[str, ...]:
    """Returns the engines that an architecture's profile prefers; none if it has no profile."""
    wanted = architecture or platform.machine()
    profiles = (read_target(find_resource("target", name)) for name in resource_names("target"))
    return next((p.engines for p in profiles if wanted in p.architectures), ())
