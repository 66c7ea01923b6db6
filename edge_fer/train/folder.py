"""The folder of a run: what is in it, and whether a run may go on there."""

import json
import math
from pathlib import Path
from typing import Any

from edge_fer.errors import ModelError, OutputError
from edge_fer.files import write_atomic

STATE_FILE = "state.safetensors"
BEST_FILE = "best.safetensors"
LANDMARKS_FILE = "landmarks.safetensors"
HEADS_FILE = "landmark-heads.safetensors"
METRICS_FILE = "metrics.jsonl"
CONFIG_FILE = "config.json"
_MAY_MOVE = ("data", "teachers", "protocol", "landmarks", "pretrained", "init", "table")


def clear_folder(folder: Path, config: dict[str, Any], *, force: bool) -> None:
    """Makes a folder ready for a new run and writes its configuration.

    Raises:
        OutputError: It holds a run and ``force`` was not given, or it cannot be written.
    """
    files = (STATE_FILE, BEST_FILE, LANDMARKS_FILE, HEADS_FILE, METRICS_FILE)
    outputs = [folder / name for name in files]
    if any(path.exists() for path in outputs) and not force:
        raise OutputError(f"{folder} holds a run; give --resume to go on, --force to replace")
    try:
        for path in outputs:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error
    text = json.dumps(config, indent=2) + "\n"
    write_atomic(folder / CONFIG_FILE, lambda file: file.write_text(text))


def goes_on(folder: Path, config: dict[str, Any], *, resume: bool) -> bool:
    """Says whether a run is to go on with what is in its folder, and may.

    Raises:
        ModelError: The run there has another configuration.
    """
    if not (resume and (folder / STATE_FILE).is_file()):
        return False
    require_same_config(folder, config)
    return True


def require_same_config(folder: Path, config: dict[str, Any]) -> None:
    """Raises ``ModelError`` if the run there has another configuration; files may have moved.

    A setting that is younger than the run is off in it.
    """
    path = folder / CONFIG_FILE
    try:
        before = _flat(json.loads(path.read_text()))
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: not a readable configuration ({error})") from error
    now = _flat(json.loads(json.dumps(config)))
    changed = sorted(
        key
        for key in before.keys() | now.keys()
        if key.partition(".")[0] not in _MAY_MOVE
        and (before.get(key) or None) != (now.get(key) or None)
    )
    if changed:
        raise ModelError(f"{path}: the run there has another {', '.join(changed)}; cannot resume")


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict | list):
        return {prefix: values}
    pairs = values.items() if isinstance(values, dict) else enumerate(values)
    return {
        key: leaf
        for name, value in pairs
        for key, leaf in _flat(value, f"{prefix}.{name}" if prefix else str(name)).items()
    }


def append_metrics(folder: Path, record: dict[str, Any]) -> None:
    """Adds the line of an epoch."""
    path = folder / METRICS_FILE
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def keep_metrics(folder: Path, epochs: int) -> None:
    """Drops lines of epochs that a resumed run will do again, and a line cut short by a crash."""
    path = folder / METRICS_FILE
    if path.is_file():
        lines = [line for line in path.read_text().splitlines() if _epoch_of(line) < epochs]
        write_atomic(path, lambda file: file.write_text("".join(f"{line}\n" for line in lines)))


def _epoch_of(line: str) -> float:
    try:
        return float(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return math.inf
