"""The command line. Each command parses, calls one function and prints.

Stages are imported inside their commands, so that ``--help`` and the device start fast.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_fer import __version__
from edge_fer.cli_data import data_app
from edge_fer.cli_evaluate import evaluate
from edge_fer.cli_explain import explain
from edge_fer.cli_train import command_line, train
from edge_fer.errors import EdgeFerError, MissingExtraError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Facial-expression recognition, from training to the camera loop of a small device.",
)

app.add_typer(data_app, name="data")
app.command()(explain)

Data = Annotated[str, typer.Option(help="Dataset, NAME:PATH, e.g. fer2013:~/fer2013.csv.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print results only, no progress.")]
EXTRA_OF_MODULE = {
    "torch": "train",
    "safetensors": "train",
    "litert_torch": "quantize",
    "ai_edge_quantizer": "quantize",
    "onnx": "quantize",
    "onnxscript": "quantize",
    "onnxruntime": "onnx",
    "accelerate": "train",
    "torchmetrics": "train",
    "jinja2": "report",
    "matplotlib": "report",
    "captum": "explain",
    "sklearn": "explain",
    "ray": "ray",
}

Force = Annotated[bool, typer.Option("--force", help="Replace what is already there.")]


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
app.command()(evaluate)


@app.command()
def quantize(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint (.safetensors).")],
    calibration: Annotated[
        str,
        typer.Option(help="Calibration faces: a dataset (NAME:PATH) or photos:PATH."),
    ],
    out: Annotated[Path, typer.Option(help="Bundle folder to write.")],
    recipe: Annotated[str, typer.Option(help="Recipe, by name or path.")] = "static_wi8_ai8",
    evaluation: Annotated[
        str | None, typer.Option("--evaluate", help="Labelled faces to compare on, NAME:PATH.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of --evaluate.")] = "PrivateTest",
    max_drop: Annotated[
        float | None,
        typer.Option(help="Exit 1 if INT8 loses more points than this against float."),
    ] = None,
    int8_only: Annotated[bool, typer.Option("--int8-only", help="Leave float files out.")] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Exports a checkpoint to TFLite and ONNX, float and INT8, and compares them."""
    from edge_fer.compress.quantize import Request
    from edge_fer.compress.quantize import quantize as run_quantization
    from edge_fer.compress.recipe import read_recipe
    from edge_fer.files import refuse_overwrite
    from edge_fer.resources import find_resource
    from edge_fer.show import quantization_table, stage_printer

    refuse_overwrite(out, force=force)
    request = Request(
        checkpoint=checkpoint,
        recipe=read_recipe(find_resource("recipe", recipe)),
        calibration=calibration,
        out=out,
        evaluation=evaluation,
        split=split,
        int8_only=int8_only,
        command=command_line(),
    )
    document = run_quantization(request, stage_printer(quiet=quiet))
    _print(document, as_json, quantization_table)
    worst = max(row["drop_pt"] for row in document["rows"])
    if max_drop is not None and worst > max_drop:
        sys.stderr.write(f"edge-fer: INT8 loses {worst:.2f} points; --max-drop is {max_drop:g}\n")
        raise typer.Exit(1)


@app.command()
def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Bundles, .tflite and .onnx files; the shipped bundle if none."),
    ] = None,
    threads: Annotated[
        str, typer.Option(help="Thread counts; by default 1, 2, 4 .. all cores.")
    ] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 20,
    inferences: Annotated[int, typer.Option(min=1, help="Timed inferences per round.")] = 50,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON document here.")] = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Measures latency, size, memory and cost of every file on every installed engine."""
    from edge_fer.bench.bench import bench as run_bench
    from edge_fer.files import refuse_overwrite, write_atomic
    from edge_fer.resources import find_resource
    from edge_fer.runtime.recognizer import DEFAULT_BUNDLE
    from edge_fer.show import bench_table, round_printer

    if out:
        refuse_overwrite(out, force=force)
    paths = [find_resource("bundle", name) for name in models or [DEFAULT_BUNDLE]]
    document = run_bench(
        paths,
        threads=_thread_counts(threads),
        rounds=rounds,
        inferences=inferences,
        on_round=round_printer(rounds, quiet=quiet),
    )
    if out:
        write_atomic(out, lambda file: file.write_text(json.dumps(document, indent=1) + "\n"))
    _print(document, as_json, bench_table)


@app.command()
def run(
    source: Annotated[
        str,
        typer.Argument(help="Photo, folder, video, GIF, /dev/videoN, picamera2, or camera."),
    ] = "camera",
    bundle: Annotated[str, typer.Option(help="Bundle, by name or path.")] = "",
    detector: Annotated[str, typer.Option(help="auto, haar or yunet:FILE.")] = "auto",
    engine: Annotated[str | None, typer.Option(help="litert or onnxruntime.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one inference.")] = 1,
    record: Annotated[
        Path | None, typer.Option(help="Write an annotated photo, video (.mp4) or folder.")
    ] = None,
    frames: Annotated[int, typer.Option(min=0, help="Stop after so many frames; 0: never.")] = 0,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per frame.")] = False,
) -> None:
    """Finds faces in photos, videos or a camera and reads their expressions."""
    from edge_fer.runtime.loop import RunOptions
    from edge_fer.runtime.loop import run as run_loop
    from edge_fer.runtime.recognizer import DEFAULT_BUNDLE

    options = RunOptions(
        source=source,
        bundle=bundle or DEFAULT_BUNDLE,
        detector=detector,
        engine=engine,
        threads=threads,
        record=record,
        max_frames=frames,
        force=force,
        json_lines=as_json,
    )
    summary = run_loop(options, sys.stdout)
    if not quiet:
        sys.stderr.write(f"{summary}\n")


def _thread_counts(text: str) -> list[int]:
    if not text:
        cores = os.cpu_count() or 1
        return sorted({cores, *(1 << i for i in range(cores.bit_length()))})
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise EdgeFerError(f"--threads {text!r} is not a list of thread counts like 1,2,4")
    return sorted(set(counts))


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False))


def _print(document: dict[str, Any], as_json: bool, table: Any) -> None:
    if as_json:
        _print_json(document)
    else:
        table(document)


if __name__ == "__main__":
    main()
