"""The command line. Each command parses, calls one function and prints.

Stages are imported inside their commands, so that ``--help`` and the device start fast.
"""

import os
import sys
from typing import Annotated, Any

import typer

from edge_fer import __version__
from edge_fer.cli_audit import audit
from edge_fer.cli_bench import bench
from edge_fer.cli_common import Json, print_json
from edge_fer.cli_data import data_app
from edge_fer.cli_deploy import deploy, flash, release
from edge_fer.cli_doctor import doctor
from edge_fer.cli_evaluate import evaluate
from edge_fer.cli_explain import explain
from edge_fer.cli_prune import prune
from edge_fer.cli_quantize import quantize
from edge_fer.cli_run import fetch, run
from edge_fer.cli_search import search
from edge_fer.cli_sweep import sweep
from edge_fer.cli_train import train
from edge_fer.errors import EdgeFerError, MissingExtraError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Facial-expression recognition, from training to the camera loop of a small device.",
)

app.add_typer(data_app, name="data")

EXTRA_OF_MODULE = {
    "torch": "train",
    "safetensors": "train",
    "litert_torch": "quantize",
    "ai_edge_quantizer": "quantize",
    "onnx": "quantize",
    "onnxscript": "quantize",
    "onnxruntime": "onnx",
    "torch_pruning": "quantize",
    "accelerate": "train",
    "torchmetrics": "train",
    "jinja2": "report",
    "matplotlib": "report",
    "openvino": "openvino",
    "captum": "explain",
    "sklearn": "explain",
    "ray": "ray",
    "tensorflow": "keras",
    "keras": "keras",
    "h5py": "keras",
    "paho": "mqtt",
    "pooch": "fetch",
    "packaging": "deploy",
    "fatfs": "flash",
    "starlette": "serve",
    "uvicorn": "serve",
    "websockets": "serve",
}


def main() -> None:
    """Runs the command line: expected errors become one line and exit code 2."""
    try:
        app()
    except EdgeFerError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        extra = EXTRA_OF_MODULE.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        _fail(str(MissingExtraError("This command", extra)))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        _fail(f"{error.filename or 'output'}: {error.strerror or error}")


def _fail(message: str) -> None:
    sys.stderr.write(f"edge-fer: {' '.join(message.split())}\n")
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-fer {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="One model; all if none.")] = None,
    classes: Annotated[int, typer.Option(min=2, help="Number of outputs.")] = 7,
    layers: Annotated[bool, typer.Option("--layers", help="Print the layers of NAME.")] = False,
    as_json: Json = False,
) -> None:
    """Lists the zoo: parameters, MACs, FLOPs, MB, and the papers' figures beside ours."""
    from edge_fer.show import layers_table, model_page, models_table
    from edge_fer.zoo import layers_document, models_document

    if layers:
        if name is None:
            raise EdgeFerError("--layers needs the name of a model")
        _print(layers_document(name, classes=classes), as_json, layers_table)
        return
    document = models_document([name] if name else (), classes=classes)
    _print(document, as_json, model_page if name else models_table)


app.command()(train)
app.command()(search)
app.command()(sweep)
app.command()(evaluate)
app.command()(audit)
app.command()(explain)
app.command()(prune)
app.command()(quantize)
app.command()(bench)


app.command()(run)
app.command()(fetch)
app.command()(doctor)
app.command()(release)
app.command()(deploy)
app.command()(flash)


def _print_json(document: Any) -> None:
    print_json(document)


def _print(document: dict[str, Any], as_json: bool, table: Any) -> None:
    if as_json:
        _print_json(document)
    else:
        table(document)


if __name__ == "__main__":
    main()
