"""``edge-fer prune``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_fer.cli_common import Force, Json, Quiet, command_line, fit_showing, print_json
from edge_fer.errors import EdgeFerError

if TYPE_CHECKING:
    from edge_fer.compress.prune_budget import Budget
    from edge_fer.compress.prune_request import Tools


def prune(
    checkpoint: Annotated[
        Path, typer.Argument(help="Checkpoint (.safetensors), a pruned one too.")
    ],
    out: Annotated[
        Path, typer.Option(help="Pruned checkpoint to write (.safetensors); a folder for --sweep.")
    ],
    ratio: Annotated[float | None, typer.Option(help="Share of the MACs to take away.")] = None,
    macs: Annotated[str | None, typer.Option(help="MACs that may be left, e.g. 13.5M.")] = None,
    params: Annotated[
        str | None, typer.Option(help="Parameters that may be left, e.g. 150k.")
    ] = None,
    latency_ms: Annotated[
        float | None, typer.Option(help="Milliseconds a face may take here, in float, batch 1.")
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(help="Several ratios, e.g. 0.25,0.5,0.75; draws the curve.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Dataset, NAME:PATH, to train on after a cut.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="Training recipe, by name or path.")] = "finetune",
    epochs: Annotated[
        int | None, typer.Option(min=0, help="Of training after each cut; 0: only measure.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Cuts, with training after each.")] = 1,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another setting of the recipe, KEY=VALUE; repeatable."),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(help="Checkpoint to learn from; the unpruned one if none; repeatable."),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="File of `edge-fer data split`, instead of the dataset's splits.")
    ] = "",
    fold: Annotated[str, typer.Option(help="Fold of --protocol.")] = "",
    importance: Annotated[
        str, typer.Option(help="magnitude, scale, taylor, or auto: taylor with --data.")
    ] = "auto",
    spread: Annotated[
        str,
        typer.Option(help="global, uniform (a share of every layer), or cost (for what it saves)."),
    ] = "global",
    round_to: Annotated[int, typer.Option(help="Widths become multiples of it.")] = 8,
    engine: Annotated[str, typer.Option(help="Of --latency-ms: litert or onnxruntime.")] = "litert",
    threads: Annotated[int, typer.Option(min=1, help="Of --latency-ms.")] = 1,
    seed: Annotated[int, typer.Option(help="Of training and of drawing faces.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted pruning.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Makes a network narrower until it meets a budget, and trains it again.

    The budget is one of --ratio, --macs, --params and --latency-ms.
    """
    budgets = {"ratio": ratio, "macs": macs, "params": params, "latency_ms": latency_ms}
    _require_one({**budgets, "sweep": sweep})
    from edge_fer.compress.prune import prune as run_pruning
    from edge_fer.compress.prune_request import Method, Request, Tuning
    from edge_fer.compress.prune_sweep import parse_ratios, prune_sweep
    from edge_fer.show_prune import prune_tables, sweep_table
    from edge_fer.train.recipe import parse_changes

    command = command_line()
    ratios = parse_ratios(sweep) if sweep is not None else []
    tuning = None
    if data is not None:
        tuning = Tuning(
            data=data,
            recipe=recipe,
            epochs=epochs,
            changes=parse_changes(change or []),
            teachers=tuple(teacher or ()),
            protocol=protocol,
            fold=fold,
            seed=seed,
        )
    request = Request(
        checkpoint=checkpoint,
        out=out / "ratio.safetensors" if ratios else out,
        budget=_budget(budgets | ({"ratio": ratios[0]} if ratios else {})),
        method=Method(importance=importance, spread=spread, round_to=round_to),
        tuning=tuning,
        steps=steps,
        command=command,
    )
    tools = _tools(engine, threads, quiet=quiet)
    try:
        if ratios:
            document = prune_sweep(request, ratios, tools, resume=resume, force=force)
        else:
            document = run_pruning(request, tools, resume=resume, force=force)
    except KeyboardInterrupt:
        sys.stderr.write(f"edge-fer: stopped; go on with: {command} --resume\n")
        raise typer.Exit(130) from None
    if as_json:
        print_json(document)
    else:
        (sweep_table if ratios else prune_tables)(document)


def _require_one(budgets: dict[str, Any]) -> None:
    given = [name for name, value in budgets.items() if value is not None]
    if len(given) != 1:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in budgets)
        raise EdgeFerError(f"give one budget, not {len(given) or 'none'}, of {names}")


def _budget(values: dict[str, Any]) -> "Budget":
    from edge_fer.compress.prune_budget import Budget, parse_amount

    kind, value = next((kind, value) for kind, value in values.items() if value is not None)
    return Budget(kind=kind, value=parse_amount(value) if isinstance(value, str) else value)


def _tools(engine: str, threads: int, *, quiet: bool) -> "Tools":
    from functools import partial

    from edge_fer.bench.latency import LatencyMeter
    from edge_fer.compress.prune_request import Tools
    from edge_fer.show import stage_printer

    return Tools(
        announce=stage_printer(quiet=quiet),
        fit=partial(fit_showing, quiet=quiet),
        meter=LatencyMeter(engine, threads),
    )
