"""What people see: tables on standard output, progress on standard error."""

import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

from edge_fer.show_table import print_table

MODELS_HEADS = (
    "model", "input", "params", "trainable", "MACs M", "FLOPs M", "f32 MB", "act. MB",
    "paper's params",
)  # fmt: skip


def stage_printer(*, quiet: bool) -> Callable[[str], None]:
    """Returns a function that announces a stage."""

    def announce(name: str) -> None:
        if not quiet:
            sys.stderr.write(f"... {name}\n")

    return announce


def round_printer(rounds: int, *, quiet: bool) -> Callable[[int], None]:
    """Returns a function that shows how many rounds are done."""

    def show(done: int) -> None:
        if not quiet and sys.stderr.isatty():
            sys.stderr.write(f"round {done}/{rounds}" + ("\n" if done == rounds else "\r"))

    return show


def models_table(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/models/1``, a line per model."""
    print_table("The zoo, batch 1", MODELS_HEADS, models_rows(document))


def models_rows(document: dict[str, Any]) -> list[list[str]]:
    """Returns a line per model of ``edge-fer/models/1``, under ``MODELS_HEADS``."""
    return [
        [
            model["name"],
            "x".join(map(str, model["input_nchw"][1:])),
            f"{model['params_total']:,}",
            f"{model['params_trainable']:,}",
            f"{model['macs'] / 1e6:.2f}",
            f"{model['flops'] / 1e6:.2f}",
            f"{model['float32_mb']:.2f}",
            f"{model['peak_activation_mb']:.2f}",
            published_params(model),
        ]
        for model in document["models"]
    ]


def published_params(model: dict[str, Any]) -> str:
    """Returns the paper's parameter counts of a model in short, e.g. ``1.65 M``."""
    figures = [f for f in model["published"]["complexity"] if f["quantity"].startswith("params")]
    texts = [f"{f['value']:,}" + (" M" if f["unit"] == "M" else "") for f in figures]
    if len(set(texts)) > 2:
        values = sorted(f["value"] for f in figures)
        return f"{values[0]:,}-{values[-1]:,} M"
    return " / ".join(dict.fromkeys(texts)) or "-"


def model_page(document: dict[str, Any]) -> None:
    """Prints one model of ``edge-fer/models/1`` with every published figure and its note."""
    models_table(document)
    published = document["models"][0]["published"]
    rows = [
        [
            figure.get("quantity") or f"{figure['dataset']} {figure['metric']}",
            ", ".join(figure[key] for key in ("table", "row", "column", "split") if key in figure),
            f"{figure['value']} {figure['unit']}",
            f"{figure['ours']:.6g}" if "ours" in figure else "-",
            f"{figure['difference_percent']:+.3f}" if "ours" in figure else "-",
        ]
        for figure in (*published["complexity"], *published["accuracy"])
    ]
    print_table("Published", ["quantity", "where", "paper", "ours", "difference %"], rows)
    figures = (*published["complexity"], *published["accuracy"])
    for note in dict.fromkeys(figure["note"] for figure in figures if "note" in figure):
        Console().print(f"* {note}", highlight=False, markup=False)


def layers_table(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/model-layers/1``."""
    rows = [
        [
            layer["name"] or document["name"],
            layer["kind"],
            "x".join(map(str, layer["output_shape"][1:])),
            f"{layer['params']:,}",
            f"{layer['macs']:,}",
        ]
        for layer in document["layers"]
    ]
    rows.append(["total", "", "", f"{document['params_total']:,}", f"{document['macs']:,}"])
    print_table(document["name"], ["layer", "type", "output CxHxW", "params", "MACs"], rows)
