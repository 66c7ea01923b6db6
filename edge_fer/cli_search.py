"""``edge-fer search``."""

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_fer.cli_common import Data, Force, Json, Quiet, command_line, print_json

if TYPE_CHECKING:
    from edge_fer.search.study import Study


def search(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the search.")],
    order: Annotated[int, typer.Option(help="1, or 2: weights one step ahead.")] = 1,
    cells: Annotated[
        int | None,
        typer.Option(help="Cells that are searched; else as in the final network, or 5."),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(help="Of a cell: two inputs, the intermediate ones, the output; else 7."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="Of a node in the first cell; else 36.")
    ] = None,
    input_px: Annotated[int | None, typer.Option(help="Side of the input; else 48.")] = None,
    final: Annotated[
        list[str] | None,
        typer.Option(
            help="Network that the cells are for, CELLSxNODESxCHANNELS@PX; else what is searched. "
            "Several: a search for each, and the best of all."
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Of a search.")] = 50,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    recipe: Annotated[
        str, typer.Option(help="Training recipe of the weights, by name or path.")
    ] = "emonas_fer2013",
    change: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of it, KEY=VALUE; repeatable.")
    ] = None,
    alpha_rate: Annotated[float, typer.Option(help="Learning rate of alpha.")] = 3e-4,
    alpha_from: Annotated[int, typer.Option(help="Epochs before alpha learns.")] = 0,
    guard: Annotated[
        list[str] | None,
        typer.Option(
            help="early-stop, skip-dropout, auxiliary-skip or partial-channels; repeatable."
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(help="Latencies, by edge-fer bench --ops --space; one for each --final."),
    ] = None,
    budget_ms: Annotated[float, typer.Option(help="Latency that costs nothing.")] = 0.0,
    latency_precision: Annotated[str, typer.Option(help="int8 or fp32.")] = "int8",
    latency_weight: Annotated[
        float, typer.Option(help="Loss of being over the budget by once the budget.")
    ] = 1.0,
    faces: Annotated[int, typer.Option(help="Search on so many faces, by lot; 0: all.")] = 0,
    seeds: Annotated[int, typer.Option(help="Searches, each with a seed of its own.")] = 3,
    seed: Annotated[int, typer.Option(help="The first one.")] = 0,
    train_epochs: Annotated[
        int, typer.Option(help="Then train what was found so long; 0: not.")
    ] = 70,
    train_faces: Annotated[
        int, typer.Option(help="On so many faces, by lot; 0: on those of the search.")
    ] = 0,
    train_change: Annotated[
        list[str] | None,
        typer.Option("--train-set", help="A setting of that training only, KEY=VALUE; repeatable."),
    ] = None,
    drawn: Annotated[
        int,
        typer.Option(help="And so many cells drawn by lot; 0: as many as a search's time buys."),
    ] = 3,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0: as torch chooses.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in OUT.")] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Searches the cells of EmoNAS by gradient, within a latency of a device if asked to.

    Several GPUs: torchrun --nproc-per-node N -m edge_fer search ...
    """
    from edge_fer.search.config import SearchConfig
    from edge_fer.search.sizes import table_of
    from edge_fer.search.space import Space, parse_space
    from edge_fer.search.study import Study
    from edge_fer.train.devices import use_threads
    from edge_fer.train.recipe import parse_changes

    use_threads(threads)
    changes = parse_changes(change or [])
    if batch_size is not None:
        changes["batch_size"] = batch_size
    sizes = {"cells": cells, "nodes": nodes, "channels": channels, "input_px": input_px}
    given = {name: size for name, size in sizes.items() if size is not None}
    finals = [parse_space(text) for text in final or ()] or [Space(**given)]
    tables = table or []
    training = changes | parse_changes(train_change or []) | {"epochs": train_epochs}
    common = Study(
        config=SearchConfig(
            data=data,
            stage=_stage(recipe, changes | {"epochs": epochs}),
            space=replace(finals[0], **given),
            final=finals[0],
            order=order,
            alpha_learning_rate=alpha_rate,
            alpha_from=alpha_from,
            guards=tuple(guard or ()),
            table=tables[0] if len(tables) == 1 else table_of(finals[0], tables),
            latency_precision=latency_precision,
            budget_ms=budget_ms,
            latency_weight=latency_weight,
            faces=faces,
            seed=seed,
            precision=precision,
        ),
        seeds=seeds,
        lessons=_stage(recipe, training) if train_epochs else None,
        lesson_faces=train_faces or faces,
        drawn=drawn,
    )
    others = [
        replace(common.config, space=replace(one, **given), final=one, table=table_of(one, tables))
        for one in finals[1:]
    ]
    studies = [common, *(replace(common, config=config) for config in others)]
    document = _run(studies, out, resume=resume, force=force, quiet=quiet)
    _show(document, out, as_json=as_json)


def _stage(recipe: str, changes: dict[str, Any]) -> Any:
    from edge_fer.resources import find_resource
    from edge_fer.train.recipe import read_training_recipe

    return read_training_recipe(find_resource("training", recipe), changes).stages[-1]


def _run(
    studies: list["Study"], out: Path, *, resume: bool, force: bool, quiet: bool
) -> dict[str, Any]:
    from edge_fer.search.sizes import run_sizes
    from edge_fer.search.study import Listener, run_study
    from edge_fer.show_search import epoch_printer, line_printer
    from edge_fer.show_train import TrainingProgress
    from edge_fer.train.devices import open_accelerator

    main = open_accelerator(studies[0].config.precision).is_main_process
    quiet = quiet or not main
    with TrainingProgress(quiet=quiet) as progress:
        listener = Listener(
            announce=line_printer(quiet=quiet),
            on_step=progress.on_step,
            on_epoch=epoch_printer(quiet=quiet),
            on_training_epoch=progress.on_epoch,
        )
        try:
            if len(studies) > 1:
                document = run_sizes(
                    studies, out, command_line(), listener, resume=resume, force=force
                )
            else:
                document = run_study(
                    studies[0], out, command_line(), listener, resume=resume, force=force
                )
        except KeyboardInterrupt:
            sys.stderr.write(f"edge-fer: stopped; go on with: {command_line()} --resume\n")
            raise typer.Exit(130) from None
    if not main:
        raise typer.Exit
    return document


def _show(document: dict[str, Any], out: Path, *, as_json: bool) -> None:
    from edge_fer.show_search import print_search, print_sizes

    sizes = document.get("studies")
    by_folder = {out / name: one for name, one in sizes.items()} if sizes else {out: document}
    if find_spec("matplotlib") is None:
        sys.stderr.write("edge-fer: no pictures: pip install 'edge-fer[report]' draws them\n")
    else:
        from edge_fer.search.pictures import draw_study

        for folder, one in by_folder.items():
            draw_study(one, folder)
    if as_json:
        print_json(document)
        return
    for folder, one in by_folder.items():
        print_search(one, folder)
    if sizes:
        print_sizes(document, out)
