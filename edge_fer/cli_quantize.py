"""``edge-fer quantize``."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_fer.cli_common import Force, Json, Quiet, command_line, fit_showing, print_json
from edge_fer.errors import EdgeFerError

if TYPE_CHECKING:
    from edge_fer.compress.chain import Chain
    from edge_fer.compress.prune_request import Tools


def quantize(
    checkpoint: Annotated[
        Path, typer.Argument(help="Checkpoint (.safetensors); or .pt2, .onnx, .keras, .h5.")
    ],
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")],
    calibration: Annotated[
        str | None,
        typer.Option(
            help="Calibration faces: a dataset (NAME:PATH), photos:PATH, or distilled: made from "
            "the network, no data needed. dynamic_wi8 and fp16 need none. For a face detector "
            "pictures: detect:PATH or photos:PATH."
        ),
    ] = None,
    describe: Annotated[
        Path | None, typer.Option(help="TOML that describes a model that is not a checkpoint.")
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="Recipe, by name or path; prune50_, qat_ or both before a name train first, with "
            "--data."
        ),
    ] = "static_wi8_ai8",
    data: Annotated[
        str | None, typer.Option(help="Dataset, NAME:PATH, for prune50_ and qat_ to train on.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of each of those; by default as they need.")
    ] = None,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Keep layers in float that --max-drop needs in float.")
    ] = False,
    evaluation: Annotated[
        str | None, typer.Option("--evaluate", help="Labelled faces to compare on, NAME:PATH.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of --evaluate.")] = "PrivateTest",
    max_drop: Annotated[
        float | None,
        typer.Option(help="Exit 1 if a quantized file loses more points of accuracy than this."),
    ] = None,
    max_class_drop: Annotated[
        float | None,
        typer.Option(help="Exit 1 if any class loses more points of recall than this."),
    ] = None,
    max_flips: Annotated[
        float | None,
        typer.Option(help="Exit 1 if more percent of the faces than this get another label."),
    ] = None,
    int8_only: Annotated[bool, typer.Option("--int8-only", help="Leave float files out.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a page of everything, HTML.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with interrupted training.")
    ] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Exports a checkpoint to TFLite and ONNX, float and quantized, and compares them.

    What is lost is measured against the float file on the same faces. Exit code 1: a gate failed.
    """
    from edge_fer.compress.chain import Chain
    from edge_fer.compress.foreign import ForeignRequest, described, is_foreign, quantize_foreign
    from edge_fer.compress.gates import Limits
    from edge_fer.compress.prune_request import Tools
    from edge_fer.compress.quantize import Request
    from edge_fer.compress.quantize import quantize as run_quantization
    from edge_fer.compress.recipe import read_recipe, split_steps
    from edge_fer.files import refuse_overwrite
    from edge_fer.resources import find_resource
    from edge_fer.show import stage_printer
    from edge_fer.show_quantize import quantization_tables

    for path in filter(None, (out, report)):
        refuse_overwrite(path, force=force)
    if report:
        from edge_fer.compress.page import write_report
    steps, name = ((), recipe) if Path(recipe).is_file() else split_steps(recipe)
    plan = read_recipe(find_resource("recipe", name))
    settings: dict[str, Any] = {
        "recipe": plan.mixed() if mixed else plan,
        "calibration": calibration,
        "out": out,
        "evaluation": evaluation,
        "split": split,
        "limits": Limits(drop_pt=max_drop, class_drop_pt=max_class_drop, flips_percent=max_flips),
        "int8_only": int8_only,
        "command": command_line(),
    }
    announce = stage_printer(quiet=quiet)
    if is_foreign(checkpoint):
        if steps:
            raise EdgeFerError(f"{recipe}: only checkpoints of edge-fer can be trained first")
        description = described(checkpoint, describe)
        foreign = ForeignRequest(model=checkpoint, description=description, **settings)
        document = quantize_foreign(foreign, announce)
    else:
        request = Request(checkpoint=checkpoint, **settings)
        chain = Chain(
            steps=steps,
            data=data,
            folder=out.with_name(f"{out.name}.steps"),
            epochs=epochs,
            command=settings["command"],
        )
        tools = Tools(announce=announce, fit=partial(fit_showing, quiet=quiet))
        trained = _through(chain, checkpoint, tools, resume=resume, force=force)
        document = run_quantization(replace(request, checkpoint=trained), announce)
    if report:
        write_report(report, document)
    if as_json:
        print_json(document)
    else:
        quantization_tables(document)
    failed = [gate["message"] for gate in document["gates"] if not gate["passed"]]
    for message in failed:
        sys.stderr.write(f"edge-fer: gate failed: {message}\n")
    if failed:
        raise typer.Exit(1)


def _through(
    chain: "Chain", checkpoint: Path, tools: "Tools", *, resume: bool, force: bool
) -> Path:
    from edge_fer.compress.chain import run_chain

    try:
        return run_chain(chain, checkpoint, tools, resume=resume, force=force)
    except KeyboardInterrupt:
        sys.stderr.write(f"edge-fer: stopped; go on with: {command_line()} --resume\n")
        raise typer.Exit(130) from None
