"""Several prunings of one checkpoint, and the curve of accuracy over MACs."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge_fer.compress.prune import prune
from edge_fer.compress.prune_budget import Budget
from edge_fer.compress.prune_request import Request, Tools
from edge_fer.errors import EdgeFerError
from edge_fer.files import refuse_overwrite, write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = "edge-fer/prune-sweep/1"
CURVE_FILE, PICTURE_FILE = "sweep.json", "sweep.png"


def parse_ratios(text: str) -> list[float]:
    """Reads a list like ``0.25,0.5,0.75``, and sorts it.

    Raises:
        EdgeFerError: It is none.
    """
    try:
        ratios = sorted({float(part) for part in text.split(",")})
    except ValueError as error:
        raise EdgeFerError(f"{text!r} is not a list of ratios like 0.25,0.5,0.75") from error
    for ratio in ratios:
        Budget(kind="ratio", value=ratio)
    return ratios


def prune_sweep(
    request: Request, ratios: list[float], tools: Tools, *, resume: bool, force: bool
) -> dict[str, Any]:
    """Prunes to each ratio; writes the checkpoints, ``sweep.json`` and ``sweep.png``.

    Args:
        request: Of each, but for budget and output; its ``out`` has the sweep's folder and name.
        ratios: Shares of the MACs that go, ascending.
        tools: See ``prune``.
        resume: See ``prune``.
        force: See ``prune``.

    Returns:
        A document of schema ``edge-fer/prune-sweep/1``: ``points``, the first of which is the
        unpruned network.

    Raises:
        EdgeFerError: No data to measure accuracy on, or as ``prune``.
    """
    from edge_fer.report.plots import png_bytes

    if request.tuning is None:
        raise EdgeFerError("a sweep measures accuracy: give --data")
    folder = request.out.parent
    refuse_overwrite(folder / CURVE_FILE, force=force or resume)
    documents = [prune(_at(request, ratio), tools, resume=resume, force=force) for ratio in ratios]
    whole = {"ratio": 0.0, "file": str(request.checkpoint), **documents[0]["before"]}
    document = {
        "schema": SCHEMA,
        "checkpoint": str(request.checkpoint),
        "model": documents[0]["model"],
        "method": documents[0]["method"],
        "validation": documents[0]["validation"],
        "points": [whole | {"accuracy_pruned": None}, *map(_point, documents)],
    }
    text = json.dumps(document, indent=1) + "\n"
    write_atomic(folder / CURVE_FILE, lambda file: file.write_text(text, encoding="utf-8"))
    picture = png_bytes(curve_figure(document))
    write_atomic(folder / PICTURE_FILE, lambda file: file.write_bytes(picture))
    return document


def _at(request: Request, ratio: float) -> Request:
    out = request.out.parent / f"ratio-{ratio:g}.safetensors"
    return replace(request, out=out, budget=Budget(kind="ratio", value=ratio))


def _point(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "ratio": document["budget"]["value"],
        "file": document["out"],
        **document["after"],
        "accuracy_pruned": document["steps"][-1]["accuracy_pruned"],
    }


def curve_figure(document: dict[str, Any]) -> "Figure":
    """Draws accuracy over MACs, with and without training after the cut."""
    from matplotlib.figure import Figure

    from edge_fer.report.plots import BLUE, ORANGE

    points = document["points"]
    macs_m = [point["macs"] / 1e6 for point in points]
    figure = Figure(figsize=(5.4, 3.8), layout="constrained")
    axes = figure.subplots()
    tuned = [100 * point["accuracy"] for point in points]
    axes.plot(macs_m, tuned, color=BLUE, marker="o", label="trained after it")
    cut = [100 * point["accuracy_pruned"] for point in points[1:]]
    if cut != tuned[1:]:
        axes.plot(
            macs_m[1:], cut, color=ORANGE, marker="s", linestyle="--", label="after the last cut"
        )
        axes.legend(frameon=False)
    axes.set(xlabel="MACs, millions", ylabel="validation accuracy, %", xlim=(0, None))
    axes.set_title(document["model"], fontsize=10)
    axes.grid(alpha=0.3)
    return figure
