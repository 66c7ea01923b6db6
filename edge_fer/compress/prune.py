"""Structured pruning: a checkpoint in, a narrower one out, and what that cost."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from torch import nn

from edge_fer.compress.prune_budget import Budget, cost_in
from edge_fer.compress.prune_request import Request, Tools
from edge_fer.compress.prune_steps import Work, open_folder, take_steps, training_config
from edge_fer.data.faces import Faces, require_labels
from edge_fer.evaluate.labelled import require_same_labels
from edge_fer.files import refuse_overwrite
from edge_fer.models.complexity import Complexity, describe
from edge_fer.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_fer.train.session import read_sides

SCHEMA = "edge-fer/prune/1"


def prune(request: Request, tools: Tools, *, resume: bool, force: bool) -> dict[str, Any]:
    """Prunes a checkpoint and writes the result, trained again if that was asked for.

    Args:
        request: What to do.
        tools: What it takes.
        resume: Go on with a pruning that was interrupted.
        force: Replace what is already there.

    Returns:
        A document of schema ``edge-fer/prune/1``: ``before`` and ``after`` (``params``, ``macs``,
        ``size_mb``, ``accuracy`` on the validation split, ``latency_ms`` where it is the budget),
        ``steps`` and ``layers``.

    Raises:
        EdgeFerError: Checkpoint, data or output cannot be used, or the budget cannot be met.
    """
    refuse_overwrite(request.out, force=force or resume)
    work = _prepare(request, tools)
    whole = work.cost(work.original.network)
    limit = request.budget.limit(whole)
    if request.trains:
        open_folder(request, resume=resume, force=force)
    accuracy = work.accuracy(work.original.network)
    pruned, steps = take_steps(work, whole, limit)
    document = {
        "schema": SCHEMA,
        "checkpoint": str(request.checkpoint),
        "out": str(request.out),
        "model": work.original.metadata["model"],
        "method": asdict(request.method),
        "budget": asdict(request.budget) | {"limit": limit},
        "validation": None if work.validation is None else work.validation.source,
        "steps": steps,
    }
    _save(request, pruned, document)
    last = steps[-1]["accuracy_tuned" if request.trains else "accuracy_pruned"]
    before = describe(work.original.network, work.input_nchw)
    after = describe(pruned.network, work.input_nchw)
    return document | {
        "before": _figures(before, request.checkpoint.stat().st_size)
        | {"accuracy": accuracy}
        | _latency(request.budget, whole),
        "after": _figures(after, request.out.stat().st_size)
        | {"accuracy": last}
        | _latency(request.budget, steps[-1]["cost"]),
        "layers": list(_layers(work.original.network, pruned.network, before, after)),
    }


def _prepare(request: Request, tools: Tools) -> Work:
    original = load_checkpoint(request.checkpoint)
    train, validation = _faces(request, original)
    n, c, h, w = original.metadata["input_nchw"]
    return Work(
        request=request,
        original=original,
        cost=cost_in(request.budget.unit, (n, c, h, w), tools.meter),
        train=train,
        validation=validation,
        tools=tools,
    )


def _faces(request: Request, original: Checkpoint) -> tuple[Faces | None, Faces | None]:
    if request.tuning is None:
        return None, None
    sides = read_sides(training_config(request, original, request.folder))
    for faces in sides:
        require_labels(faces)
        require_same_labels(original.labels, faces)
    return sides


def _save(request: Request, pruned: Checkpoint, document: dict[str, Any]) -> None:
    kept = {key: document[key] for key in ("method", "budget", "steps")}
    metadata = {key: value for key, value in pruned.metadata.items() if key != "schema"}
    save_checkpoint(request.out, pruned.network.state_dict(), metadata | {"pruning": kept})


def _figures(complexity: Complexity, size_bytes: int) -> dict[str, Any]:
    return {
        "params": complexity.params_total,
        "params_trainable": complexity.params_trainable,
        "macs": complexity.macs,
        "size_mb": size_bytes / 1e6,
    }


def _latency(budget: Budget, cost: float) -> dict[str, float]:
    return {"latency_ms": cost} if budget.unit == "latency_ms" else {}


def _layers(
    before: nn.Module, after: nn.Module, whole: Complexity, left: Complexity
) -> Iterator[dict[str, Any]]:
    """A record of each convolution and dense layer: inputs and outputs before and after."""
    for old, new in zip(whole.layers, left.layers, strict=True):
        layer, narrower = before.get_submodule(old.name), after.get_submodule(new.name)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            yield {
                "name": old.name,
                "kind": old.kind,
                "before": _widths(layer),
                "after": _widths(narrower),
                "macs_before": old.macs,
                "macs_after": new.macs,
            }


def _widths(layer: nn.Module) -> list[int]:
    if isinstance(layer, nn.Conv2d):
        return [layer.in_channels, layer.out_channels]
    assert isinstance(layer, nn.Linear)
    return [layer.in_features, layer.out_features]
