"""What people see: tables on standard output, progress on standard error."""

import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

MODELS_HEADS = (
    "model", "input", "params", "trainable", "MACs M", "FLOPs M", "f32 MB", "act. MB",
    "paper's params",
)  # fmt: skip


class TrainingProgress:
    """A bar per epoch with live loss and accuracy, and a line per finished epoch."""

    def __init__(self, epochs: int, *, quiet: bool) -> None:
        self._epochs, self._quiet = epochs, quiet
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), disable=quiet)
        self._task = self._progress.add_task("", total=1)

    def __enter__(self) -> "TrainingProgress":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def on_step(self, step: dict[str, Any]) -> None:
        """Moves the bar."""
        text = (
            f"epoch {step['epoch'] + 1}/{self._epochs}  loss {step['loss']:.3f}  "
            f"accuracy {step['accuracy']:.1%}"
        )
        self._progress.update(
            self._task, description=text, total=step["steps"], completed=step["step"]
        )

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Prints the epoch's figures."""
        if self._quiet:
            return
        self._progress.print(
            f"epoch {record['epoch'] + 1:3d}  train {record['train_accuracy']:.2%}  "
            f"validation {record['validation_accuracy']:.2%}  {record['images_per_s']:.0f} images/s"
        )


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
    _table("The zoo, batch 1", MODELS_HEADS, models_rows(document))


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
    _table("Published", ["quantity", "where", "paper", "ours", "difference %"], rows)
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
    _table(document["name"], ["layer", "type", "output CxHxW", "params", "MACs"], rows)


def evaluation_table(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/evaluate/1``."""
    results = document["results"]
    rows = [
        [
            result["file"],
            result["engine"],
            str(result["n"]),
            _percent(result["accuracy"]),
            _interval(result["accuracy_ci95"]),
            _percent(result["accuracy_without_leaks"]),
            _percent(result["uar"]),
            _percent(result["ece"]),
        ]
        for result in results
    ]
    heads = ["file", "engine", "n", "accuracy %", "95 %", "without leaks %", "UAR %", "ECE %"]
    _table(f"{document['data']} {document['split']}", heads, rows)
    classes = [
        [name, str(figures["n"])]
        + [_percent(figures[key]) for key in ("recall", "precision", "f1")]
        for name, figures in results[0]["per_class"].items()
    ]
    heads = ["class", "n", "recall %", "precision %", "F1 %"]
    _table(f"per class, {results[0]['file']}", heads, classes)


def quantization_table(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/quantize/1``."""
    rows = [
        [
            row["file"],
            f"{row['size_mb']:.3f}",
            _percent(row["accuracy"]),
            _interval(row["accuracy_ci95"]),
            _percent(row["label_agreement"]),
            f"{row['drop_pt']:+.2f}",
            f"{row['max_probability_error']:.1e}",
        ]
        for row in document["rows"]
    ]
    first = document["rows"][0]
    heads = ["file", "MB", "accuracy %", "95 %", "same label %", "drop, points", "max |dp|"]
    _table(f"{document['bundle']}: {first['n']} faces, {first['compared_on']}", heads, rows)
    seconds = sum(document["stages_s"].values())
    slowest = ", ".join(f"{name} {s:.1f} s" for name, s in document["stages_s"].items())
    Console().print(f"{seconds:.1f} s: {slowest}", highlight=False)


def bench_table(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/bench/1``."""
    rows = [
        [
            row["file"],
            row["engine"],
            str(row["threads"]),
            *(f"{row[key]:.3f}" for key in ("p50_ms", "p90_ms", "p99_ms")),
            f"{row['fps']:.0f}",
            f"{row['cpu_ms']:.3f}",
            _scaled(row["params"], 1e3, 1),
            _scaled(row["macs"], 1e6, 2),
            _scaled(row["flops"], 1e6, 2),
            f"{row['size_mb']:.3f}",
            _scaled(row["arena_mb"], 1, 3),
            _scaled(row["rss_mb"], 1, 1),
            _scaled(row["load"], 1, 2),
        ]
        for row in document["rows"]
    ]
    heads = ["file", "engine", "thr", "p50 ms", "p90 ms", "p99 ms", "fps", "CPU ms", "params k"]
    heads += ["MACs M", "FLOPs M", "MB", "arena MB", "RSS MB", "load"]
    machine = document["machine"]
    _table(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}", heads, rows)
    for line in document["skipped"]:
        sys.stderr.write(f"skipped: {line}\n")
    for line in document["warnings"]:
        sys.stderr.write(f"warning: {line}\n")


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, head in enumerate(heads):
        table.add_column(head, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f}"


def _interval(bounds: Sequence[float] | None) -> str:
    return "-" if bounds is None else f"{100 * bounds[0]:.1f}-{100 * bounds[1]:.1f}"


def _scaled(value: float | None, unit: float, digits: int) -> str:
    return "-" if value is None else f"{value / unit:.{digits}f}"
