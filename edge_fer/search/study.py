"""Several seeds of one search, and genotypes drawn by lot trained just as long beside them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState

from edge_fer.data.faces import Faces
from edge_fer.data.spec import read_faces
from edge_fer.errors import EdgeFerError
from edge_fer.files import write_atomic
from edge_fer.models.emonas import (
    Genotype,
    genotype_document,
    load_genotype,
    parse_genotype,
    save_genotype,
)
from edge_fer.search.config import SearchConfig
from edge_fer.search.discrete import count_skips
from edge_fer.search.draw import random_genotypes
from edge_fer.search.loop import GENOTYPE_FILE, Report, Search
from edge_fer.search.record import predicted_ms, read_metrics
from edge_fer.search.table import Table, table_for
from edge_fer.search.training import train_genotype
from edge_fer.sweep.statistics import describe
from edge_fer.train.config import Stage
from edge_fer.train.session import drawn

SCHEMA = "edge-fer/search/1"
DOCUMENT_FILE = "search.json"
SEARCHED, DRAWN = "searched", "drawn"


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is searched, and how it is judged.

    Attributes:
        config: Of the first search; the others have the seeds after its own.
        seeds: Number of searches.
        lessons: How genotypes are trained afterwards; ``None``: they are not.
        lesson_faces: On so many faces, drawn by lot; 0: on all.
        drawn: Genotypes drawn by lot and trained alike; 0: as many as one search's time buys.
    """

    config: SearchConfig
    seeds: int = 3
    lessons: Stage | None = None
    lesson_faces: int = 0
    drawn: int = 3

    def __post_init__(self) -> None:
        if self.seeds < 1 or min(self.drawn, self.lesson_faces) < 0:
            raise EdgeFerError("seeds must be at least 1; faces and genotypes drawn not below 0")


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who is told how far it is.

    Attributes:
        announce: Called with a line before each part.
        on_step: As ``Search.fit`` and ``Run.fit`` call it.
        on_epoch: As ``Search.fit`` calls it.
        on_training_epoch: As ``Run.fit`` calls it.
    """

    announce: Callable[[str], None] = lambda _: None
    on_step: Report = lambda _: None
    on_epoch: Report = lambda _: None
    on_training_epoch: Report = lambda _: None


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a study is done, and whether it is a new one."""

    out: Path
    command: str
    listener: Listener
    resume: bool
    force: bool


def run_study(
    study: Study, out: Path, command: str, listener: Listener, *, resume: bool, force: bool
) -> dict[str, Any]:
    """Searches, trains what was found and what was drawn, and writes ``search.json``.

    Args:
        study: What to do.
        out: Folder: ``seed-N/`` for each search, ``trained/NAME/`` for each genotype,
            ``genotype.json`` for the best that was found.
        command: The command line, for metadata.
        listener: Who is told.
        resume: Go on with what is in the folder.
        force: Begin again.

    Returns:
        The document: ``searches``, ``trained``, ``summary`` and ``genotype``.

    Raises:
        EdgeFerError: The data or the folder cannot be used.
        KeyboardInterrupt: After everything is saved.
    """
    place = _Place(out=out, command=command, listener=listener, resume=resume, force=force)
    config = study.config
    faces = read_faces(config.data, "Training")
    faces = drawn(faces, config.faces or len(faces), config.seed)
    seeds = range(config.seed, config.seed + study.seeds)
    searches = [_search(replace(config, seed=seed), faces, place) for seed in seeds]
    trained = _train_all(study, searches, place) if study.lessons else []
    best = best_genotype(searches, trained)
    document = {
        "schema": SCHEMA,
        "command": command,
        "config": config.to_dict(),
        "searches": searches,
        "trained": trained,
        "summary": summarise(searches, trained),
        "genotype": best,
    }
    if PartialState().is_main_process:
        text = json.dumps(document, indent=1) + "\n"
        write_atomic(out / DOCUMENT_FILE, lambda file: file.write_text(text, encoding="utf-8"))
        save_genotype(out / GENOTYPE_FILE, parse_genotype(best))
    return document


def best_genotype(
    searches: Sequence[Mapping[str, Any]], trained: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns what was found and trained best; untrained, where alpha's faces had least loss."""
    found = [one for one in trained if one["kind"] == SEARCHED]
    best = max(found, key=lambda one: float(one["accuracy"]), default=None) or min(
        searches, key=lambda one: float(one["validation_loss"])
    )
    genotype: dict[str, Any] = best["genotype"]
    return genotype


def summarise(
    searches: Sequence[Mapping[str, Any]], trained: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Sums up: accuracies of what was found and of what was drawn, and what either took.

    Returns:
        ``searched`` and ``drawn``, each as ``describe`` gives it; ``difference`` of their means
        (``None`` without training); ``search_s`` of one search, ``training_s`` of one genotype.
    """
    groups = {
        kind: describe([one["accuracy"] for one in trained if one["kind"] == kind])
        for kind in (SEARCHED, DRAWN)
    }
    means = [groups[kind]["mean"] for kind in (SEARCHED, DRAWN)]
    return {
        **groups,
        "difference": means[0] - means[1] if None not in means else None,
        "search_s": describe([one["seconds"] for one in searches])["mean"],
        "training_s": describe([one["seconds"] for one in trained])["mean"],
    }


def _search(config: SearchConfig, faces: Faces, place: _Place) -> dict[str, Any]:
    folder = place.out / f"seed-{config.seed}"
    place.listener.announce(f"search, seed {config.seed}")
    search = Search(config, faces, folder)
    search.start(resume=place.resume, force=place.force)
    result = search.fit(place.listener.on_step, place.listener.on_epoch)
    genotype = load_genotype(folder / GENOTYPE_FILE)
    records = read_metrics(folder)
    last = records[-2 if result["stopped"] and len(records) > 1 else -1]
    return {
        "seed": config.seed,
        "genotype": genotype_document(genotype),
        "skips": {
            "normal": count_skips(genotype.normal),
            "reduction": count_skips(genotype.reduction),
        },
        **{key: result[key] for key in ("epochs", "stopped", "seconds")},
        **{key: last[key] for key in ("validation_loss", "validation_accuracy", "expected_ms")},
        "predicted_ms": predicted_ms(search.table, genotype),
    }


def _train_all(
    study: Study, searches: Sequence[Mapping[str, Any]], place: _Place
) -> list[dict[str, Any]]:
    found = [(f"{SEARCHED}-{s['seed']}", parse_genotype(s["genotype"])) for s in searches]
    trained = [_train(study, SEARCHED, name, genotype, place) for name, genotype in found]
    costs = summarise(searches, trained)
    count = study.drawn or max(1, round(costs["search_s"] / costs["training_s"]))
    for number, genotype in enumerate(
        random_genotypes(study.config.final, count, study.config.seed)
    ):
        trained.append(_train(study, DRAWN, f"{DRAWN}-{number}", genotype, place))
    return trained


def _train(study: Study, kind: str, name: str, genotype: Genotype, place: _Place) -> dict[str, Any]:
    assert study.lessons is not None
    place.listener.announce(f"training, {name}")
    result = train_genotype(
        replace(study.config, faces=study.lesson_faces),
        study.lessons,
        genotype,
        place.out / "trained" / name,
        place.command,
        place.listener.on_step,
        place.listener.on_training_epoch,
        resume=place.resume,
        force=place.force,
    )
    table: Table | None = table_for(study.config.table, study.config.final)
    return {"name": name, "kind": kind, **result, "predicted_ms": predicted_ms(table, genotype)}
