"""``edge-fer explain``: from a checkpoint and faces to pictures, and a document about them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge_fer.explain.landmarks import read_run
from edge_fer.explain.request import Request, Task, open_task
from edge_fer.explain.sections import (
    explain_classes,
    explain_features,
    explain_landmarks,
    explain_photos,
)
from edge_fer.files import refuse_overwrite

SCHEMA = "edge-fer/explain/1"


@dataclass(frozen=True)
class _Job:
    """One section of the document: the files that it writes, and what makes them."""

    section: str
    files: Sequence[Path]
    run: Callable[[Sequence[Path]], Any]


def explain(request: Request, on_stage: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Makes the pictures.

    Returns:
        A document of schema ``edge-fer/explain/1``.

    Raises:
        EdgeFerError: Checkpoint, pictures, data or options cannot be used, or a file exists.
    """
    task = open_task(request)
    jobs = _jobs(task)
    for file in (file for job in jobs for file in job.files):
        refuse_overwrite(file, force=request.force)
    on_stage("faces")
    task.read()
    sections: dict[str, Any] = {"images": [], "classes": None, "tsne": None, "landmarks": None}
    for job in jobs:
        on_stage(job.section)
        sections[job.section] = job.run(job.files)
    return {
        "schema": SCHEMA,
        "checkpoint": str(request.checkpoint),
        "model": task.checkpoint.metadata["model"],
        "labels": list(task.checkpoint.labels),
        "layer": task.explainer.layer,
        "map_hw": list(task.explainer.map_hw),
        "networks": [name for name in task.explainer.map_names if name],
        "seed": request.seed,
        "files": [str(file) for job in jobs for file in job.files],
        **sections,
    }


def _jobs(task: Task) -> list[_Job]:
    request, out = task.request, task.request.out
    jobs = []
    if request.images:
        jobs.append(_Job("images", _page_names(out, task.photos), partial(explain_photos, task)))
    if request.sheet_faces:
        files = [out / "classes-examples.png", out / "classes-mean.png"]
        jobs.append(_Job("classes", files, partial(explain_classes, task)))
    if request.tsne:
        files = [out / "tsne.png", out / "tsne.csv", out / "features.csv"]
        jobs.append(_Job("tsne", files, partial(explain_features, task)))
    if request.landmarks:
        run = partial(explain_landmarks, task, read_run(request.landmarks, task.checkpoint))
        jobs.append(_Job("landmarks", [out / "landmarks.png"], run))
    return jobs


def _page_names(out: Path, photos: Sequence[Path]) -> list[Path]:
    """A page per picture, all numbered if two pictures have one name."""
    stems = [photo.stem for photo in photos]
    if len(set(stems)) < len(stems):
        stems = [f"{number}-{stem}" for number, stem in enumerate(stems, 1)]
    return [out / f"gradcam-{stem}.png" for stem in stems]
