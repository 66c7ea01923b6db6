"""The trials of a sweep: its axes crossed, each with an id that says what it is."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from edge_fer.data.spec import parse_spec, spec_name
from edge_fer.errors import EdgeFerError
from edge_fer.sweep.request import TABLES, Sweep
from edge_fer.train.config import TrainConfig
from edge_fer.train.configure import configure

DEFAULT_RECIPE = "modern"
#: Axes over which a result is averaged or pooled; every other combination has a result of its own.
REPEATED = ("seed", "fold")
_LONGEST_SLUG = 60
_FILES = ("pretrained", "init", "landmarks")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training of a sweep and how it is judged.

    Attributes:
        id: Name of its folder: what sets it apart, and the start of its digest.
        digest: SHA-256 of everything that decides its result; files count by their name, except
            the protocol, which counts by its content.
        values: Its place on every axis.
        config: Of the training.
        test: Split on which it is judged; empty: the test side of its fold.
        weights: ``best`` or ``last``.
    """

    id: str
    digest: str
    values: Mapping[str, Any]
    config: TrainConfig
    test: str
    weights: str

    @property
    def setting(self) -> dict[str, Any]:
        """Its place on the axes that are compared."""
        return {key: value for key, value in self.values.items() if key not in REPEATED}


def trials_of(sweep: Sweep, folds: Sequence[str] = ()) -> tuple[Trial, ...]:
    """Crosses the axes of a sweep.

    Args:
        sweep: What varies.
        folds: Names for ``fold = "all"``.

    Raises:
        EdgeFerError: A recipe or a setting does not exist, or two trials are the same.
    """
    axes = dict(sweep.axes)
    if axes.get("fold") == ("all",):
        axes["fold"] = tuple(folds)
    trials = tuple(
        _trial(sweep, dict(zip(axes, values, strict=True))) for values in product(*axes.values())
    )
    seen: dict[str, Trial] = {}
    for trial in trials:
        twin = seen.setdefault(trial.digest, trial)
        if twin is not trial:
            raise EdgeFerError(f"{twin.id} and {trial.id} are the same training")
    return trials


def _trial(sweep: Sweep, values: dict[str, Any]) -> Trial:
    config = _config(sweep, values)
    identity = {"config": _portable(config), "test": sweep.test, "weights": sweep.weights}
    text = json.dumps(identity, sort_keys=True)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Trial(
        id=f"{_slug(values) or config.model}-{digest[:8]}",
        digest=digest,
        values=values,
        config=config,
        test=sweep.test,
        weights=sweep.weights,
    )


def _config(sweep: Sweep, values: Mapping[str, Any]) -> TrainConfig:
    settings = {**sweep.base, **{name: dict(sweep.base.get(name, {})) for name in TABLES}}
    for key, value in values.items():
        table, _, rest = key.partition(".")
        if rest:
            settings[table][rest] = value
        else:
            settings[key] = value
    changes = settings.pop("set")
    recipe = settings.pop("recipe", DEFAULT_RECIPE)
    settings["teachers"] = tuple(absolute(path) for path in settings.get("teachers", ()))
    name, path = split_spec(settings["data"])
    settings["data"] = f"{name}:{absolute(path)}"
    for key in _FILES:
        if settings.get(key):
            settings[key] = absolute(settings[key])
    protocol = absolute(sweep.protocol) if sweep.protocol else ""
    return configure(recipe, changes, protocol=protocol, **settings)


def split_spec(spec: str) -> tuple[str, str]:
    """Splits ``dynamic:casme2:PATH`` before its path; raises ``DataError`` if it has none."""
    parse_spec(spec)
    name = spec_name(spec)
    return name, spec[len(name) + 1 :]


def absolute(path: str) -> str:
    """Returns an existing file's place for processes that run elsewhere; other text as it is."""
    file = Path(path).expanduser()
    return str(file.resolve()) if path and file.exists() else path


def _portable(config: TrainConfig) -> dict[str, Any]:
    values = config.to_dict()
    name, path = split_spec(config.data)
    values["data"] = f"{name}:{Path(path).name}"
    values["teachers"] = [Path(teacher).name for teacher in config.teachers]
    for key in _FILES:
        values[key] = values[key] and Path(values[key]).name
    values["protocol"] = config.protocol and _digest_of(Path(config.protocol))
    return values


def _digest_of(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise EdgeFerError(f"{file}: not a readable protocol ({error.strerror})") from error


def _slug(values: Mapping[str, Any]) -> str:
    text = "_".join(_words(values))
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.")[:_LONGEST_SLUG].rstrip("-.")


def _words(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        short = key.rpartition(".")[2]
        yield str(value) if key == "model" else f"{short}-{value}"
