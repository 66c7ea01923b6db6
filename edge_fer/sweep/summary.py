"""From the outcomes of a sweep to its document, ``edge-fer/sweep/1``."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_fer.data.spec import TERMS, spec_name
from edge_fer.evaluate.predictions import pooled_report
from edge_fer.sweep.outcome import Outcome, read_predictions
from edge_fer.sweep.request import SCHEMA, Sweep
from edge_fer.sweep.statistics import describe
from edge_fer.telemetry import machine

FIGURES = ("accuracy", "accuracy_without_leaks", "uar", "uf1")


def summarise(sweep: Sweep, outcomes: Sequence[Outcome], out: Path, command: str) -> dict[str, Any]:
    """Sums a sweep up, whether it is finished or not.

    Args:
        sweep: What was asked for.
        outcomes: Of all its trials, each once.
        out: Its folder, in which predictions are.
        command: The command line.

    Returns:
        ``rows``: one per combination of the axes other than seed and fold, with ``planned``,
        ``finished`` and ``failed`` trials, ``seeds`` (figures of each seed; with folds those of
        their pooled predictions) and ``figures`` (mean, spread and interval over complete seeds);
        and ``trials``, one each.

    Raises:
        DataError: The predictions of a finished trial cannot be read.
    """
    data = sorted({spec_name(outcome.trial.config.data) for outcome in outcomes})
    return {
        "schema": SCHEMA,
        "name": sweep.name,
        "source": sweep.source.strip(),
        "data": data,
        "data_terms": [TERMS[name] for name in data if name in TERMS],
        "test": sweep.test or "test",
        "protocol": Path(sweep.protocol).name,
        "weights": sweep.weights,
        "axes": {key: list(values) for key, values in sweep.axes.items()},
        "command": command,
        "machine": machine(),
        "rows": [_row(group, out, folds=bool(sweep.protocol)) for group in _settings(outcomes)],
        "trials": [_trial(outcome) for outcome in outcomes],
    }


def _settings(outcomes: Iterable[Outcome]) -> list[list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(repr(outcome.trial.setting), []).append(outcome)
    return list(groups.values())


def _row(outcomes: Sequence[Outcome], out: Path, *, folds: bool) -> dict[str, Any]:
    of_seed: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        of_seed.setdefault(outcome.trial.config.seed, []).append(outcome)
    seeds = [_seed(seed, group, out, folds=folds) for seed, group in of_seed.items()]
    complete = [entry["figures"] for entry in seeds if entry["complete"]]
    names = complete[0] if complete else FIGURES
    statuses = [outcome.status for outcome in outcomes]
    return {
        "settings": outcomes[0].trial.setting,
        "planned": len(outcomes),
        "finished": statuses.count("finished"),
        "failed": statuses.count("failed"),
        "figures": {name: describe(_known(complete, name)) for name in names},
        "seeds": seeds,
    }


def _known(figures: Iterable[Mapping[str, Any]], name: str) -> list[float]:
    return [each[name] for each in figures if each.get(name) is not None]


def _seed(seed: int, outcomes: Sequence[Outcome], out: Path, *, folds: bool) -> dict[str, Any]:
    done = [outcome for outcome in outcomes if outcome.result is not None]
    entry: dict[str, Any] = {
        "seed": seed,
        "complete": len(done) == len(outcomes),
        "finished": len(done),
        "planned": len(outcomes),
        "figures": {},
    }
    if not done:
        return entry
    if not folds:
        (outcome,) = done
        assert outcome.result is not None
        return entry | {"figures": _figures(outcome.result["test"])}
    pooled = pooled_report([read_predictions(out, outcome.trial) for outcome in done])
    parts = pooled["composite"]["databases"]
    return entry | {"figures": _figures(pooled) | _of_databases(parts), "pooled": pooled}


def _figures(report: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: report[name] for name in FIGURES}


def _of_databases(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Figures of each database, if there are several."""
    if len(parts) < 2:
        return {}
    return {
        f"{database} {name}": part[name]
        for database, part in parts.items()
        for name in ("accuracy", "uar", "uf1")
    }


def _trial(outcome: Outcome) -> dict[str, Any]:
    trial, result = outcome.trial, outcome.result or {}
    test = result.get("test", {})
    return {
        "id": trial.id,
        "status": outcome.status,
        "error": outcome.error or None,
        "settings": trial.setting,
        "seed": trial.config.seed,
        "fold": trial.config.fold or None,
        **{name: test.get(name) for name in ("n", *FIGURES)},
        **{name: result.get(name) for name in ("validation_accuracy", "best_epoch", "seconds")},
    }
