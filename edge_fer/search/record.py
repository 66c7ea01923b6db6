"""What is written of an epoch, and read again."""

import json
from pathlib import Path
from typing import Any

from edge_fer.models.emonas import Genotype, genotype_document
from edge_fer.search.alphas import KINDS
from edge_fer.search.discrete import count_skips
from edge_fer.search.latency import LatencyTerm
from edge_fer.search.learner import Learner
from edge_fer.search.op_table_schema import PRECISIONS
from edge_fer.search.table import Table
from edge_fer.train.folder import METRICS_FILE
from edge_fer.train.state import Progress


def epoch_record(
    learner: Learner,
    genotype: Genotype,
    progress: Progress,
    sums: list[list[float]],
    table: Table | None,
    latency: LatencyTerm | None,
) -> dict[str, Any]:
    """Returns an epoch's line of ``metrics.jsonl``.

    Args:
        learner: After the epoch.
        genotype: What alpha stands for.
        progress: Of the epoch.
        sums: Loss and labels found, summed over faces: while weights learnt, and while alpha did.
        table: Latencies, if there are any.
        latency: The same as a term.
    """
    seen, weights = progress.seen, learner.weights()
    (train_loss, train_correct), (loss, correct) = sums
    judged = progress.epoch >= learner.config.alpha_from
    return {
        "stage": "search",
        "epoch": progress.epoch,
        "train_loss": train_loss / seen,
        "train_accuracy": train_correct / seen,
        "validation_loss": loss / seen if judged else None,
        "validation_accuracy": correct / seen if judged else None,
        "seconds": progress.seconds,
        "images_per_s": seen / progress.seconds,
        "skips": {
            kind: count_skips(nodes)
            for kind, nodes in zip(KINDS, (genotype.normal, genotype.reduction), strict=True)
        },
        "expected_ms": None if latency is None else float(latency.expected_ms(*weights)),
        "kept_ms": None if latency is None else latency.kept_ms(*weights),
        "predicted_ms": predicted_ms(table, genotype),
        "genotype": genotype_document(genotype),
        "weights": {kind: w_EO.tolist() for kind, w_EO in zip(KINDS, weights, strict=True)},
        "alpha": {name: alpha.tolist() for name, alpha in learner.alphas.named_parameters()},
    }


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Returns the lines of a search's ``metrics.jsonl``."""
    lines = (folder / METRICS_FILE).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def predicted_ms(table: Table | None, genotype: Genotype) -> dict[str, float] | None:
    """Predicts a network's latency by precision; ``None`` without a table."""
    if table is None:
        return None
    return {precision: table.predict_ms(genotype, precision) for precision in PRECISIONS}
