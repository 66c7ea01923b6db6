"""``edge-fer audit``."""

from pathlib import Path
from typing import Annotated

import typer

from edge_fer.cli_common import Json, print_json


def audit(
    files: Annotated[
        list[Path], typer.Argument(help=".tflite and .onnx files, whoever made them; bundles.")
    ],
    reference: Annotated[
        Path | None, typer.Option(help="The float twin: measure the error of each layer.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Faces for --reference: NAME:PATH or photos:PATH.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if there is an error among the verdicts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tells what is in a model file, whether it is really INT8, and what would run where."""
    from edge_fer.audit.request import audit as run_audit
    from edge_fer.show_audit import audit_report

    document = run_audit(files, reference, data)
    if as_json:
        print_json(document)
    else:
        audit_report(document)
    if strict and document["errors"]:
        raise typer.Exit(1)
