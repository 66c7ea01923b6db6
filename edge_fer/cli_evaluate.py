"""``edge-fer evaluate``: what checkpoints and bundles are worth."""

from pathlib import Path
from typing import Annotated

import typer

from edge_fer.cli_common import Data, Force, Json, Quiet, command_line, print_json


def evaluate(
    models: Annotated[
        list[Path],
        typer.Argument(help="Checkpoints (.safetensors) and bundles; the first is compared with."),
    ],
    data: Data,
    split: Annotated[
        str | None, typer.Option(help="Split of the dataset, or all; by default PrivateTest.")
    ] = None,
    protocol: Annotated[
        Path | None, typer.Option(help="File of edge-fer data split; its fold's test side.")
    ] = None,
    fold: Annotated[str | None, typer.Option(help="Name of a fold in --protocol.")] = None,
    fit_temperature: Annotated[
        bool, typer.Option("--fit-temperature", help="Fit a temperature, store it in the model.")
    ] = False,
    fit_classes: Annotated[
        bool,
        typer.Option("--fit-classes", help="Fit each class's logit, change the last layer."),
    ] = False,
    disturbed: Annotated[
        bool, typer.Option("--disturbed", help="Also on blurred, dark, covered ... faces.")
    ] = False,
    predictions: Annotated[
        Path | None, typer.Option(help="Write every face's label and probabilities, CSV.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page of everything, HTML.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder for confusion and reliability as PNG.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measures accuracy, calibration and every class; compares models; mends their confidence."""
    from edge_fer.evaluate.evaluate import Request
    from edge_fer.evaluate.evaluate import evaluate as run_evaluation
    from edge_fer.evaluate.labelled import Selection
    from edge_fer.evaluate.predictions import write_predictions
    from edge_fer.files import refuse_overwrite
    from edge_fer.show import stage_printer
    from edge_fer.show_evaluate import evaluation_tables

    for path in filter(None, (predictions, report)):
        refuse_overwrite(path, force=force)
    if report or pictures:
        from edge_fer.evaluate.page import refuse_full_folder, write_pictures, write_report
    if pictures:
        refuse_full_folder(pictures, force=force)
    fits = {"classes": fit_classes, "temperature": fit_temperature}
    request = Request(
        models=tuple(models),
        selection=Selection(data=data, split=split, protocol=protocol, fold=fold),
        fits=tuple(name for name, wanted in fits.items() if wanted),
        disturbed=disturbed,
        command=command_line(),
    )
    evaluation = run_evaluation(request, stage_printer(quiet=quiet))
    document = evaluation.document
    if predictions:
        write_predictions(predictions, document["results"], evaluation.predictions)
    if report:
        write_report(report, document)
    if pictures:
        write_pictures(pictures, document)
    if as_json:
        print_json(document)
    else:
        evaluation_tables(document)
