"""Cells and searches, drawn: SVG files beside what they show."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fer.files import write_atomic
from edge_fer.models.emonas import OPERATIONS, Genotype, Node, parse_genotype
from edge_fer.report.plots import BLUE, GRAY, drawing, inline_svg
from edge_fer.search.alphas import KINDS
from edge_fer.search.record import read_metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, told apart with any colour vision.
COLOURS = dict(
    zip(
        OPERATIONS,
        ("#0072B2", "#56B4E9", "#777777", "#E69F00", "#D55E00", "#009E73", "#CC79A7"),
        strict=True,
    )
)
_BOX: Any = {"boxstyle": "round,pad=0.3", "edgecolor": "black", "linewidth": 0.8}


def draw_study(document: Mapping[str, Any], out: Path) -> None:
    """Draws ``cells.svg`` and ``search.svg`` into the folder of every search."""
    for search in document["searches"]:
        folder = out / f"seed-{search['seed']}"
        genotype = parse_genotype(search["genotype"])
        _save(folder / "cells.svg", cells_figure(genotype), "cells")
        _save(folder / "search.svg", search_figure(read_metrics(folder)), "search")


def cells_figure(genotype: Genotype) -> "Figure":
    """Draws the normal and the reduction cell of a genotype."""
    with drawing(9.0, 7.0) as figure:
        for axes, kind in zip(figure.subplots(2, 1), KINDS, strict=True):
            _draw_cell(axes, getattr(genotype, kind))
            axes.set_title(f"{kind} cell", loc="left")
    return figure


def search_figure(records: Sequence[Mapping[str, Any]]) -> "Figure":
    """Draws a search over its epochs: losses, identities, latency, and what every operation gets.

    Args:
        records: Lines of ``metrics.jsonl``.
    """
    with drawing(9.0, 6.0) as figure:
        (upper_left, upper_right), lower = figure.subplots(2, 2)
        _draw_losses(upper_left, records)
        _draw_skips(upper_right, records)
        for axes, kind in zip(lower, KINDS, strict=True):
            _draw_shares(axes, records, kind)
        lower[1].legend(frameon=False, fontsize=7)
        for axes in (upper_left, upper_right, *lower):
            axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _draw_cell(axes: "Axes", nodes: tuple[Node, ...]) -> None:
    places = _places(len(nodes))
    for number, node in enumerate(nodes, 2):
        for edge in node:
            _draw_edge(axes, places[edge.source], places[number], edge.operation)
        _arrow(axes, places[number], places[-1], GRAY, 0.12)
    texts = ["cell k-2", "cell k-1", *map(str, range(2, len(nodes) + 2)), "cell k"]
    for (x, y), text in zip(places, texts, strict=True):
        color = "white" if text.isdigit() else "#F0E9C8"
        axes.text(x, y, text, ha="center", va="center", bbox=_BOX | {"facecolor": color})
    axes.set(xlim=(-0.6, len(nodes) + 1.6), ylim=(-1.6, 1.6))
    axes.set_axis_off()


def _places(intermediate: int) -> list[tuple[float, float]]:
    """Inputs to the left, nodes in a zigzag, the output to the right."""
    nodes = [(1.0 + i, 0.9 if i % 2 else -0.9) for i in range(intermediate)]
    return [(0.0, 0.7), (0.0, -0.7), *nodes, (intermediate + 1.0, 0.0)]


def _draw_edge(
    axes: "Axes", start: tuple[float, float], end: tuple[float, float], operation: str
) -> None:
    bend = (0.14 + 0.06 * (end[0] - start[0])) * (-1 if end[1] > 0 else 1)
    _arrow(axes, start, end, COLOURS[operation], bend)
    (x0, y0), (x1, y1) = start, end
    x, y = (x0 + x1) / 2 + bend * (y1 - y0) / 2, (y0 + y1) / 2 - bend * (x1 - x0) / 2
    place: Any = {"ha": "center", "va": "center", "fontsize": 7, "color": COLOURS[operation]}
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    axes.text(x, y, operation, bbox=ground, **place)


def _arrow(
    axes: "Axes", start: tuple[float, float], end: tuple[float, float], color: str, bend: float
) -> None:
    style: Any = {
        "arrowstyle": "-|>",
        "color": color,
        "connectionstyle": f"arc3,rad={bend}",
        "shrinkA": 12,
        "shrinkB": 12,
    }
    axes.annotate("", end, start, arrowprops=style)


def _draw_losses(axes: "Axes", records: Sequence[Mapping[str, Any]]) -> None:
    epochs = [record["epoch"] + 1 for record in records]
    axes.plot(epochs, [record["train_loss"] for record in records], label="weights")
    judged = [(e, r["validation_loss"]) for e, r in zip(epochs, records, strict=True)]
    known = [(epoch, loss) for epoch, loss in judged if loss is not None]
    axes.plot(*zip(*known, strict=True), label="alpha")
    axes.set(xlabel="epoch", ylabel="loss")
    axes.legend(frameon=False)


def _draw_skips(axes: "Axes", records: Sequence[Mapping[str, Any]]) -> None:
    epochs = [record["epoch"] + 1 for record in records]
    for kind, line in zip(KINDS, ("-", "--"), strict=True):
        skips = [record["skips"][kind] for record in records]
        axes.plot(epochs, skips, line, color=GRAY, label=f"identities, {kind}")
    axes.set(xlabel="epoch", ylabel="identities kept", ylim=(-0.2, None))
    if records[0].get("kept_ms") is not None:
        other = axes.twinx()
        other.plot(epochs, [r["kept_ms"] for r in records], color=BLUE)
        other.set_ylabel("latency of these cells (ms)", color=BLUE)
    axes.legend(frameon=False)


def _draw_shares(axes: "Axes", records: Sequence[Mapping[str, Any]], kind: str) -> None:
    epochs = [record["epoch"] + 1 for record in records]
    shares_TO = np.array([np.mean(record["weights"][kind], axis=0) for record in records])
    shares_TO /= shares_TO.sum(1, keepdims=True)
    for column, (name, color) in enumerate(COLOURS.items()):
        axes.plot(epochs, shares_TO[:, column], color=color, label=name)
    axes.set(xlabel="epoch", ylabel=f"mean weight, {kind} cells")


def _save(path: Path, figure: "Figure", name: str) -> None:
    text = inline_svg(figure, name) + "\n"
    write_atomic(path, lambda file: file.write_text(text, encoding="utf-8"))
