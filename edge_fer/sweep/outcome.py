"""What a trial left in its folder: a result, an error, or neither yet.

A trial is finished if and only if ``result.json`` is there and is of the trial's digest; the file
is written last and whole.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.errors import DataError
from edge_fer.evaluate.predictions import FoldPredictions
from edge_fer.files import write_atomic
from edge_fer.sweep.trials import Trial

SCHEMA = "edge-fer/sweep-trial/1"
RESULT_FILE = "result.json"
ERROR_FILE = "error.json"
PREDICTIONS_FILE = "predictions.npz"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial stands.

    Attributes:
        trial: Which.
        result: Its figures, once it is finished.
        error: In one line, if its last attempt failed.
    """

    trial: Trial
    result: Mapping[str, Any] | None = None
    error: str = ""

    @property
    def status(self) -> str:
        """``finished``, ``failed`` or ``open``."""
        if self.result is not None:
            return "finished"
        return "failed" if self.error else "open"


def folder_of(out: Path, trial: Trial) -> Path:
    """Returns a trial's folder in that of its sweep."""
    return out / "trials" / trial.id


def read_outcome(out: Path, trial: Trial) -> Outcome:
    """Reads how a trial stands; what another digest left does not count."""
    folder = folder_of(out, trial)
    result, error = (_read(folder / name, trial) for name in (RESULT_FILE, ERROR_FILE))
    if result is not None:
        return Outcome(trial=trial, result=result)
    return Outcome(trial=trial, error=str(error["error"]) if error else "")


def write_result(
    folder: Path, trial: Trial, result: Mapping[str, Any], predictions: FoldPredictions
) -> None:
    """Writes predictions, then the result that makes the trial finished.

    Raises:
        OutputError: One cannot be written.
    """
    arrays: dict[str, Any] = {
        "names": np.array(predictions.names, np.str_),
        "labels": predictions.labels_N,
        "probabilities": predictions.probabilities_NK,
        "label_names": np.array(predictions.label_names, np.str_),
        "databases": np.array(predictions.databases, np.str_),
    }
    write_atomic(folder / PREDICTIONS_FILE, lambda file: np.savez_compressed(file, **arrays))
    _write(folder / RESULT_FILE, trial, result)
    (folder / ERROR_FILE).unlink(missing_ok=True)


def write_error(folder: Path, trial: Trial, error: str, details: str = "") -> None:
    """Records why a trial failed.

    Raises:
        OutputError: It cannot be written.
    """
    _write(folder / ERROR_FILE, trial, {"error": error, "details": details.splitlines()})


def forget(out: Path, trial: Trial) -> None:
    """Makes a trial unfinished; its training is kept until it starts anew."""
    for name in (RESULT_FILE, ERROR_FILE, PREDICTIONS_FILE):
        (folder_of(out, trial) / name).unlink(missing_ok=True)


def read_predictions(out: Path, trial: Trial) -> FoldPredictions:
    """Reads what a finished trial said of its test faces.

    Raises:
        DataError: The file is missing or damaged.
    """
    path = folder_of(out, trial) / PREDICTIONS_FILE
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return FoldPredictions(
                fold=trial.config.fold,
                names=tuple(arrays["names"].tolist()),
                labels_N=arrays["labels"],
                probabilities_NK=arrays["probabilities"],
                label_names=tuple(arrays["label_names"].tolist()),
                databases=tuple(arrays["databases"].tolist()),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not readable predictions ({error})") from error


def _write(path: Path, trial: Trial, values: Mapping[str, Any]) -> None:
    head = {"schema": SCHEMA, "id": trial.id, "digest": trial.digest, "values": trial.values}
    text = json.dumps({**head, **values}, indent=1) + "\n"
    write_atomic(path, lambda file: file.write_text(text, encoding="utf-8"))


def _read(path: Path, trial: Trial) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        same = document["schema"] == SCHEMA and document["digest"] == trial.digest
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return document if same else None
