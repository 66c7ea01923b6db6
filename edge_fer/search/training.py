"""Genotypes trained alike, so that they can be compared."""

from pathlib import Path
from typing import Any

from edge_fer.models.emonas import Genotype, genotype_document
from edge_fer.search.config import SearchConfig
from edge_fer.search.loop import MODEL
from edge_fer.search.record import read_metrics
from edge_fer.train.config import Stage, TrainConfig
from edge_fer.train.loop import Report
from edge_fer.train.session import open_run


def train_genotype(
    config: SearchConfig,
    lessons: Stage,
    genotype: Genotype,
    folder: Path,
    command: str,
    on_step: Report,
    on_epoch: Report,
    *,
    resume: bool,
    force: bool,
) -> dict[str, Any]:
    """Trains the network of a genotype.

    Args:
        config: Of the search: data, faces, seed, input.
        lessons: How it is trained.
        genotype: What is trained.
        folder: Of the run, an ordinary one.
        command: The command line, for metadata.
        on_step: As ``Run.fit`` calls it.
        on_epoch: As ``Run.fit`` calls it.
        resume: Go on with the run there; at its end already, nothing is trained.
        force: Replace it.

    Returns:
        ``genotype``, ``accuracy`` (of the best epoch on PublicTest), ``last_accuracy``, and
        ``seconds`` of training.
    """
    wanted = TrainConfig(
        model=MODEL,
        data=config.data,
        stages=(lessons,),
        options={"genotype": genotype_document(genotype)},
        input_px=config.final.input_px,
        faces=config.faces,
        seed=config.seed,
        precision=config.precision,
    )
    run = open_run(wanted, folder, command)
    run.start(resume=resume, force=force)
    best = run.fit(on_step, on_epoch)
    run.accelerator.wait_for_everyone()
    records = read_metrics(folder)
    seen = run.steps_per_epoch * lessons.batch_size
    return {
        "genotype": genotype_document(genotype),
        "accuracy": best["best_accuracy"],
        "last_accuracy": records[-1]["validation_accuracy"],
        "seconds": sum(seen / record["images_per_s"] for record in records),
    }
