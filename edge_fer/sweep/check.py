"""What can be known to be wrong before the first trial starts."""

import json
from collections.abc import Sequence
from pathlib import Path

from edge_fer.data.protocols import Fold, read_protocol
from edge_fer.data.spec import read_dataset
from edge_fer.errors import DataError, EdgeFerError
from edge_fer.models import build_model
from edge_fer.sweep.request import ALL_FOLDS, Sweep
from edge_fer.sweep.trials import Trial, absolute, split_spec, trials_of


def plan(sweep: Sweep) -> tuple[Trial, ...]:
    """Returns the trials of a sweep after looking at everything that they name.

    Raises:
        EdgeFerError: A model, option, recipe, setting, fold or file that is not there.
    """
    folds = _folds(sweep) if sweep.protocol else ()
    trials = trials_of(sweep, [fold.name for fold in folds])
    known = {fold.name for fold in folds}
    for trial in trials:
        if sweep.protocol and trial.config.fold not in known:
            raise _no_fold(sweep, trial.config.fold, list(known))
    _check_models(trials)
    _check_files(trials)
    return trials


def _folds(sweep: Sweep) -> tuple[Fold, ...]:
    """Reads the protocol for every dataset of the sweep; all have to be the one it is made for."""
    names = sweep.axes.get("data") or (sweep.base["data"],)
    path = Path(absolute(sweep.protocol))
    first, *_ = [read_protocol(path, read_dataset(name)) for name in names]
    return first


def _no_fold(sweep: Sweep, fold: str, known: Sequence[str]) -> DataError:
    shown = ", ".join(sorted(known)[:5]) + (", ..." if len(known) > 5 else "")
    if fold:
        return DataError(f"{sweep.protocol}: no fold {fold!r}; it has {len(known)}: {shown}")
    return DataError(
        f"{sweep.protocol} has {len(known)} folds: name some in [axes], or fold = {ALL_FOLDS!r}"
    )


def _check_models(trials: Sequence[Trial]) -> None:
    """Builds every network once; they are small."""
    configs = {
        json.dumps([trial.config.model, trial.config.options], sort_keys=True): trial.config
        for trial in trials
    }
    for config in configs.values():
        build_model(config.model, num_classes=7, **config.options)


def _check_files(trials: Sequence[Trial]) -> None:
    for spec in sorted({trial.config.data for trial in trials}):
        name, path = split_spec(spec)
        if not name.endswith("synthetic") and not Path(path).exists():
            raise DataError(f"{path or spec}: no such file or folder")
    files = {
        file
        for trial in trials
        for file in (*trial.config.teachers, trial.config.init, trial.config.landmarks)
        if file and not Path(file).exists()
    }
    if files:
        raise EdgeFerError(f"{min(files)}: no such file")
