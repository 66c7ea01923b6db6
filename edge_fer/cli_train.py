"""``edge-fer train``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_fer.cli_common import Data, Force, Json, Quiet, command_line, print_json


def train(
    model: Annotated[str, typer.Argument(help="Name in the zoo, e.g. arch-1.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    recipe: Annotated[
        str, typer.Option(help="Training recipe, by name or path; else modern, or face-detector.")
    ] = "",
    epochs: Annotated[int | None, typer.Option(help="Passes over the data, of each stage.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another setting, KEY=VALUE or STAGE.KEY=VALUE; repeatable."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An argument of the model, KEY=VALUE, e.g. attention=none; repeatable."),
    ] = None,
    teacher: Annotated[
        list[str] | None, typer.Option(help="Checkpoint to learn from; repeatable.")
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(help="Weights of others: a file, 'package' or 'none'; see docs/models.md."),
    ] = None,
    init: Annotated[str, typer.Option(help="Checkpoint to start from, pruned or not.")] = "",
    input_px: Annotated[int, typer.Option(help="Side of the input; 0: the model's own.")] = 0,
    protocol: Annotated[
        str, typer.Option(help="File of `edge-fer data split`, instead of the dataset's splits.")
    ] = "",
    fold: Annotated[str, typer.Option(help="Fold of --protocol.")] = "",
    faces: Annotated[int, typer.Option(help="Train on so many faces, drawn by lot; 0: all.")] = 0,
    landmarks: Annotated[
        str, typer.Option(help="File of `edge-fer data landmarks`, for recipes that learn them.")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of weights, order and augmentation.")] = 0,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads; 0: as torch chooses.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT.")] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Trains a network; keeps the weights that are best on the validation split.

    Several GPUs: torchrun --nproc-per-node N -m edge_fer train ...
    """
    from edge_fer.models.face_detector import DETECTORS
    from edge_fer.train.configure import configure
    from edge_fer.train.devices import use_threads
    from edge_fer.train.recipe import parse_changes

    use_threads(threads)
    shortcuts = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    changes = {key: value for key, value in shortcuts.items() if value is not None}
    config = configure(
        recipe or (model if model in DETECTORS else "modern"),
        changes | parse_changes(change or []),
        model=model,
        data=data,
        options=parse_changes(option or []),
        pretrained=pretrained,
        init=init,
        input_px=input_px,
        teachers=tuple(teacher or ()),
        protocol=protocol,
        fold=fold,
        faces=faces,
        landmarks=landmarks,
        seed=seed,
        precision=precision,
    )
    if model in DETECTORS:
        result = _fit_detector(config, out, resume=resume, force=force, quiet=quiet)
        figure = f"average precision {result['best_ap']:.2%}"
    else:
        result = _fit(config, out, resume=resume, force=force, quiet=quiet)
        figure = f"{result['best_accuracy']:.2%}"
    if as_json:
        print_json(result)
    else:
        typer.echo(f"best epoch {result['best_epoch'] + 1}: {figure} -> {result['best']}")


def _fit(config: Any, out: Path, *, resume: bool, force: bool, quiet: bool) -> dict[str, Any]:
    from edge_fer.show_train import TrainingProgress
    from edge_fer.train.session import open_run

    run = open_run(config, out, command_line())
    run.start(resume=resume, force=force)
    if any(stage.votes for stage in config.stages) and run.train_faces.votes_NK is None:
        sys.stderr.write("edge-fer: the data have no annotators' votes: labels alone are learnt\n")
    quiet = quiet or not run.accelerator.is_main_process
    with TrainingProgress(quiet=quiet) as progress:
        result = _fit_or_stop(run, progress)
    run.accelerator.end_training()
    if not run.accelerator.is_main_process:
        raise typer.Exit
    return result


def _fit_detector(
    config: Any, out: Path, *, resume: bool, force: bool, quiet: bool
) -> dict[str, Any]:
    from edge_fer.detect.train import DetectorRun, read_data
    from edge_fer.show_train import TrainingProgress

    with TrainingProgress(quiet=quiet) as progress:
        run = DetectorRun(config, read_data(config, progress.on_read), out, command_line())
        run.start(resume=resume, force=force)
        return _fit_or_stop(run, progress)


def _fit_or_stop(run: Any, progress: Any) -> dict[str, Any]:
    try:
        result: dict[str, Any] = run.fit(progress.on_step, progress.on_epoch)
    except KeyboardInterrupt:
        sys.stderr.write(f"edge-fer: stopped; go on with: {command_line()} --resume\n")
        raise typer.Exit(130) from None
    return result
