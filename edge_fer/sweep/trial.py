"""One trial from its configuration to its result, in a folder that it may find half done."""

import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_fer.errors import EdgeFerError
from edge_fer.evaluate.evaluate import Request, evaluate
from edge_fer.evaluate.labelled import Selection
from edge_fer.sweep.lock import Lock, LostLockError, held
from edge_fer.sweep.outcome import folder_of, read_outcome, write_error, write_result
from edge_fer.sweep.trials import Trial
from edge_fer.train.checkpoint import load_checkpoint, save_checkpoint
from edge_fer.train.folder import BEST_FILE
from edge_fer.train.loop import Run
from edge_fer.train.session import open_run

LAST_FILE = "last.safetensors"
_NETWORK = "network."


def attempt(
    trial: Trial, out: Path, command: str, announce: Callable[[str], None] = lambda _: None
) -> str:
    """Brings a trial to its end, or records why that failed; goes on where it was left.

    Args:
        trial: What to do, unless it is done already.
        out: Folder of the sweep.
        command: The command line, for metadata.
        announce: Called with a line if another worker has to be waited for.

    Returns:
        The error in one line; empty if the trial is finished.
    """
    try:
        while not _finish(trial, out, command, announce):
            pass
    except Exception as error:
        line = error_line(error)
        write_error(folder_of(out, trial), trial, line, traceback.format_exc())
        return line
    return ""


def error_line(error: BaseException) -> str:
    """Returns an error in one line; what is not meant for users is named by its type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, EdgeFerError) else f"{type(error).__name__}: {text}"


def _finish(trial: Trial, out: Path, command: str, announce: Callable[[str], None]) -> bool:
    """Does a trial unless it is done; False if another worker took it over meanwhile."""
    folder = folder_of(out, trial)
    with suppress(LostLockError), held(folder, announce) as lock:
        if read_outcome(out, trial).result is None:
            _run(trial, folder, command, lock)
        return True
    return False


def _run(trial: Trial, folder: Path, command: str, lock: Lock) -> None:
    started_at = time.monotonic()
    run = open_run(trial.config, folder, command)
    run.start(resume=True, force=True)
    fitted = run.fit(lambda _: lock.check(), lambda _: lock.check())
    judged = folder / BEST_FILE if trial.weights == "best" else _save_last(run)
    evaluation = evaluate(Request(models=(judged,), selection=_selection(trial), command=command))
    lock.confirm()
    result = {
        "weights": judged.name,
        "best_epoch": fitted["best_epoch"],
        "validation_accuracy": fitted["best_accuracy"],
        "epochs": run.progress.epoch,
        "seconds": time.monotonic() - started_at,
        **{key: evaluation.document[key] for key in ("data", "split", "machine")},
        "test": evaluation.document["results"][0],
    }
    write_result(folder, trial, result, evaluation.predictions[0])


def _selection(trial: Trial) -> Selection:
    config = trial.config
    if config.protocol:
        return Selection(data=config.data, protocol=Path(config.protocol), fold=config.fold)
    return Selection(data=config.data, split=trial.test)


def _save_last(run: Run) -> Path:
    """Saves the averaged weights of the last epoch beside the best ones."""
    metadata: dict[str, Any] = load_checkpoint(run.folder / BEST_FILE).metadata
    weights = {
        name.removeprefix(_NETWORK): tensor.cpu()
        for name, tensor in run.average.items()
        if name.startswith(_NETWORK)
    }
    path = run.folder / LAST_FILE
    save_checkpoint(path, weights, metadata | {"metrics": {"epoch": run.progress.epoch - 1}})
    return path
