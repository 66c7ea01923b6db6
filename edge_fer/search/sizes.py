"""The search for several sizes of network: how many cells and nodes, of how many channels.

The EmoNAS paper compares 5, 8, 10 and 15 cells of 6, 7 and 8 nodes, and leaves a search for their
number to later work.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState

from edge_fer.errors import EdgeFerError
from edge_fer.files import write_atomic
from edge_fer.models.emonas import parse_genotype, save_genotype
from edge_fer.search.loop import GENOTYPE_FILE
from edge_fer.search.space import Space
from edge_fer.search.study import SEARCHED, Listener, Study, run_study
from edge_fer.search.table import read_table

SCHEMA = "edge-fer/search-sizes/1"
DOCUMENT_FILE = "sizes.json"


def run_sizes(
    studies: Sequence[Study],
    out: Path,
    command: str,
    listener: Listener,
    *,
    resume: bool,
    force: bool,
) -> dict[str, Any]:
    """Searches for one size after the other and keeps what trained best of all.

    Args:
        studies: One for each size, which is its ``config.final``.
        out: Folder: a study's folder for each size, named by it; ``genotype.json`` for the best of
            all; ``sizes.json``.
        command: The command line, for metadata.
        listener: Who is told.
        resume: Go on with what is in the folder.
        force: Begin again.

    Returns:
        The document: ``studies`` by size, a row for each in ``sizes``, ``final`` and ``genotype``
        of the best.

    Raises:
        EdgeFerError: A size is there twice, nothing is trained, or as ``run_study``.
        KeyboardInterrupt: After everything is saved.
    """
    names = [str(study.config.final) for study in studies]
    if len(set(names)) < len(names):
        raise EdgeFerError("a size is given twice")
    if not all(study.lessons for study in studies):
        raise EdgeFerError("sizes are compared by training: --train-epochs must be above 0")
    documents = {}
    for name, study in zip(names, studies, strict=True):
        listener.announce(f"for {name}")
        documents[name] = run_study(
            study, out / name, command, listener, resume=resume, force=force
        )
    rows = [_row(name, document) for name, document in documents.items()]
    best = max(rows, key=lambda row: float(row["accuracy"]))
    document = {
        "schema": SCHEMA,
        "command": command,
        "sizes": rows,
        "final": best["final"],
        "genotype": documents[best["final"]]["genotype"],
        "studies": documents,
    }
    if PartialState().is_main_process:
        text = json.dumps(document, indent=1) + "\n"
        write_atomic(out / DOCUMENT_FILE, lambda file: file.write_text(text, encoding="utf-8"))
        save_genotype(out / GENOTYPE_FILE, parse_genotype(document["genotype"]))
    return document


def table_of(final: Space, tables: Sequence[str]) -> str:
    """Returns which of several tables is of a size; empty if there are none at all.

    Raises:
        ModelError: One is not readable.
        EdgeFerError: None of them is of this size.
    """
    for name in tables:
        if read_table(Path(name).expanduser()).space == final:
            return name
    if tables:
        raise EdgeFerError(
            f"no table is of networks {final}: measure them with edge-fer bench --ops --space "
            f"{final} --out TABLE.json"
        )
    return ""


def _row(name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """What was found for a size and trained best."""
    found = [one for one in document["trained"] if one["kind"] == SEARCHED]
    best = max(found, key=lambda one: float(one["accuracy"]))
    return {
        "final": name,
        "accuracy": best["accuracy"],
        "predicted_ms": best["predicted_ms"],
        "searched": document["summary"]["searched"],
        "drawn": document["summary"]["drawn"],
    }
