"""What ``--suite NAME`` measures, from ``benchmarks/suites/NAME.toml``."""

import sys
from dataclasses import dataclass
from pathlib import Path

from edge_fer.bench.subjects import Subject, read_subjects
from edge_fer.errors import EdgeFerError
from edge_fer.resources import find_resource, resource_names

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "edge-fer/suite/1"
KINDS = ("papers", "bundles")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A set of models to measure.

    Attributes:
        name: Of the file.
        description: For people.
        kind: ``papers``: networks of the zoo, built untrained; ``bundles``: what is trained.
        models: Names in the zoo.
        classes: Outputs of those.
        bundles: Names or paths; every shipped bundle if empty.
    """

    name: str
    description: str
    kind: str
    models: tuple[str, ...] = ()
    classes: int = 7
    bundles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is none of {', '.join(KINDS)}")
        if self.kind == "papers" and not self.models:
            raise ValueError("a suite of papers needs models")


def read_suite(path: Path) -> Suite:
    """Reads a suite.

    Raises:
        EdgeFerError: The file is not TOML or does not follow the schema.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        if document.pop("schema") != SCHEMA:
            raise ValueError(f"schema is not {SCHEMA}")
        document |= {key: tuple(document.get(key, ())) for key in ("models", "bundles")}
        return Suite(name=path.stem, **document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EdgeFerError(f"{path}: not a readable suite ({error})") from error


def bundle_subjects(suite: Suite) -> list[Subject]:
    """Reads every file of the suite's bundles."""
    names = suite.bundles or resource_names("bundle")
    paths = [find_resource("bundle", name) for name in names]
    return [subject for path in paths for subject in read_subjects(path)]
