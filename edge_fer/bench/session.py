"""One call of ``edge-fer bench``: what was asked for, measured in turn, in one document."""

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_fer.bench.bench import Request, bench_subjects, example_input
from edge_fer.bench.ops import operator_times
from edge_fer.bench.stages import StageRequest, bench_stages
from edge_fer.bench.subjects import Subject, read_subjects
from edge_fer.bench.suite import Suite, bundle_subjects
from edge_fer.bench.sustained import sustain
from edge_fer.errors import EdgeFerError
from edge_fer.runtime.engines import load_engine


@dataclass(frozen=True, kw_only=True)
class Session:
    """What to measure.

    Attributes:
        paths: Bundles and bare files.
        suite: Instead of ``paths``.
        request: How the files are measured.
        ops: Also the time of each operator.
        stages: Also the whole pipeline, on its source.
        sustained_min: Minutes that the fastest row runs on; 0: not.
    """

    paths: Sequence[Path] = ()
    suite: Suite | None = None
    request: Request = field(default_factory=lambda: Request(threads=(1,)))
    ops: bool = False
    stages: StageRequest | None = None
    sustained_min: int = 0


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Who is told how far it is.

    Attributes:
        announce: Called with the name of each part.
        on_round: With the number of each finished round.
        on_minute: With the number of each finished minute.
    """

    announce: Callable[[str], None] = lambda _: None
    on_round: Callable[[int], None] = lambda _: None
    on_minute: Callable[[int], None] = lambda _: None


def run_session(session: Session, listener: Listener) -> dict[str, Any]:
    """Measures all that was asked for.

    Returns:
        The document of ``bench`` and, as asked, ``suite``, ``papers``, ``ops``, ``stages`` and
        ``sustained``.

    Raises:
        EdgeFerError: A file cannot be read, or nothing can be measured.
    """
    subjects, failed = _subjects(session, listener.announce)
    document = bench_subjects(subjects, session.request, listener.on_round)
    document["skipped"] += failed
    if session.suite:
        document["suite"] = {
            "name": session.suite.name,
            "description": session.suite.description,
        }
        if session.suite.kind == "papers":
            from edge_fer.bench.papers import paper_tables

            document["papers"] = paper_tables(session.suite.models, session.suite.classes)
    contents = {subject.name: subject for subject in subjects}
    if session.ops:
        listener.announce("operators")
        document["ops"] = _operators(document["rows"], contents, document["skipped"])
    if session.stages:
        listener.announce(f"stages on {session.stages.source}")
        document["stages"] = bench_stages(session.stages)
        if document["machine"]["emulated"]:
            document["stages"]["fps"] = None
    if session.sustained_min:
        listener.announce(f"sustained, {session.sustained_min} min")
        fastest = min(document["rows"], key=lambda row: float(row["p50_ms"]))
        document["sustained"] = _sustained(fastest, contents, session.sustained_min, listener)
    return document


def result_path(out: Path, document: Mapping[str, Any]) -> Path:
    """Returns where a document goes: ``out``, or in a folder ``<suite>_<device>_<date>.json``."""
    if not out.is_dir():
        return out
    suite = (document.get("suite") or {"name": "bench"})["name"]
    machine = document["machine"]
    device = _slug(f"{machine['cpu'] or machine['architecture']} {machine['cores']} cores")
    return out / f"{suite}_{device}_{datetime.datetime.now().date().isoformat()}.json"


def _slug(text: str) -> str:
    plain = re.sub(r"\((R|TM)\)|\bProcessor\b|\bCPU\b", " ", text)
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def _subjects(session: Session, announce: Callable[[str], None]) -> tuple[list[Subject], list[str]]:
    suite = session.suite
    if suite and suite.kind == "papers":
        from edge_fer.bench.papers import paper_subjects

        return paper_subjects(suite.models, suite.classes, announce)
    if suite:
        return bundle_subjects(suite), []
    return [subject for path in session.paths for subject in read_subjects(path)], []


def _operators(
    rows: Sequence[Mapping[str, Any]], subjects: Mapping[str, Subject], skipped: list[str]
) -> list[dict[str, Any]]:
    found = []
    for row in rows:
        try:
            times = operator_times(row["engine"], subjects[row["file"]].content, row["threads"])
        except EdgeFerError as error:
            skipped.append(f"operators of {row['file']} on {row['engine']}: {error}")
            continue
        found.append({key: row[key] for key in ("file", "engine", "threads")} | times)
    return found


def _sustained(
    row: Mapping[str, Any], subjects: Mapping[str, Subject], minutes: int, listener: Listener
) -> dict[str, Any]:
    content = subjects[row["file"]].content
    engine = load_engine(row["engine"], content, row["file"], threads=row["threads"])
    x = example_input(engine)
    head = {key: row[key] for key in ("file", "engine", "threads")}
    return head | sustain(lambda: engine(x), minutes, on_minute=listener.on_minute)
