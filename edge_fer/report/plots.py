"""Pictures of results, as SVG for pages and as PNG files.

Drawn without pyplot, so without a display and without global state. The same figures give the same
SVG, byte for byte. Colours are told apart with any colour vision: one hue from light to dark, and
blue against orange (Okabe and Ito).
"""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GRAY = "#0072B2", "#D55E00", "#777777"
PNG_DPI = 150
_STYLE: Any = {
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "edge-fer",
    "text.parse_math": False,
}
_CELL_IN, _LABEL_IN = 0.58, 1.4
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_IDS = re.compile(r'(\bid="|href="#|url\(#)')
_DARK = 0.7


def confusion_figure(matrix: Sequence[Sequence[int]], label_names: Sequence[str]) -> Figure:
    """Draws a confusion matrix: counts, each on the shade of its share of its row.

    Args:
        matrix: Counts ``[K, K]``; row is the label, column the prediction.
        label_names: The K classes.
    """
    counts_KK = np.asarray(matrix)
    share_KK = counts_KK / np.maximum(counts_KK.sum(1, keepdims=True), 1)
    side_in = _LABEL_IN + _CELL_IN * len(label_names)
    with _style():
        figure = Figure(figsize=(side_in, side_in), layout="constrained")
        axes = figure.subplots()
        axes.pcolormesh(share_KK, cmap="Blues", vmin=0, vmax=1)
        centres = np.arange(len(label_names)) + 0.5
        axes.set_xticks(centres, label_names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(centres, label_names)
        axes.set(xlabel="predicted", ylabel="label", aspect="equal")
        axes.invert_yaxis()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (row, column), count in np.ndenumerate(counts_KK):
            color = "white" if share_KK[row, column] > _DARK else "black"
            text = f"{count}\n{share_KK[row, column]:.0%}"
            place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
            axes.text(column + 0.5, row + 0.5, text, color=color, **place)
        _fix_layout(figure)
    return figure


def reliability_figure(bins: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws accuracy over confidence, with the gap between them, and how many faces are where.

    Args:
        bins: As ``metrics.reliability_bins`` gives them.
    """
    with _style():
        figure = Figure(figsize=(4.6, 5.2), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        _draw_gaps(upper, [b for b in bins if b["n"]])
        left, width = [b["from"] for b in bins], [b["to"] - b["from"] for b in bins]
        lower.bar(left, [b["n"] for b in bins], width, align="edge", color=GRAY, edgecolor="white")
        lower.set(xlabel="confidence", ylabel="faces", xlim=(0, 1))
        _fix_layout(figure)
    return figure


def robustness_figure(
    curves: Sequence[Mapping[str, Any]], clean: float, columns: int = 4
) -> Figure:
    """Draws accuracy over the level of each disturbance, with its interval.

    Args:
        curves: As ``robustness.robustness`` gives them.
        clean: Accuracy on undisturbed faces, a fraction.
        columns: Of the grid of plots.
    """
    lines = -(-len(curves) // columns)
    with drawing(2.1 * columns, 1.9 * lines) as figure:
        places = list(figure.subplots(lines, columns, sharey=True, squeeze=False).flat)
        for axes, curve in zip(places, curves, strict=False):
            _draw_curve(axes, curve, clean)
        for axes in places[len(curves) :]:
            axes.set_axis_off()
    return figure


def _draw_curve(axes: Axes, curve: Mapping[str, Any], clean: float) -> None:
    steps = curve["levels"]
    at = range(1, len(steps) + 1)
    low, high = zip(*(step["accuracy_ci95"] for step in steps), strict=True)
    axes.axhline(clean, color=GRAY, linestyle="--", linewidth=1)
    axes.fill_between(at, low, high, color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(at, [step["accuracy"] for step in steps], color=BLUE, marker="o", markersize=3)
    axes.set_xticks(at, [f"{step['level']:g}" for step in steps])
    axes.set(title=curve["disturbance"], xlabel=curve["unit"], ylim=(0, 1))


@contextmanager
def drawing(width_in: float, height_in: float) -> Iterator[Figure]:
    """Gives an empty figure in the pages' look, and lays it out when the block ends."""
    with _style():
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure
        _fix_layout(figure)


def _fix_layout(figure: Figure) -> None:
    """Lays the figure out once: constrained layout moves a little each time that it is drawn."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _draw_gaps(axes: Axes, bins: Sequence[Mapping[str, Any]]) -> None:
    left, width = [b["from"] for b in bins], [b["to"] - b["from"] for b in bins]
    accuracy = [b["accuracy"] for b in bins]
    gap = [b["confidence"] - b["accuracy"] for b in bins]
    axes.bar(left, accuracy, width, align="edge", color=BLUE, edgecolor="white", label="accuracy")
    axes.bar(
        left, gap, width, accuracy,
        align="edge", facecolor="none", edgecolor=ORANGE, hatch="///", label="gap to confidence",
    )  # fmt: skip
    axes.plot([0, 1], [0, 1], color=GRAY, linestyle="--", label="confidence = accuracy")
    axes.set(ylabel="accuracy", ylim=(0, 1))
    axes.legend(loc="upper left", frameon=False)


def inline_svg(figure: Figure, name: str) -> str:
    """Returns a drawing as an ``svg`` element for a page.

    Args:
        figure: The drawing.
        name: Unique on the page, of letters, digits and hyphens: it begins every id.
    """
    text = io.StringIO()
    with _style():
        figure.savefig(text, format="svg", metadata={"Date": None})
    drawn = text.getvalue()
    element = _METADATA.sub("", drawn[drawn.index("<svg") :]).strip()
    return _IDS.sub(rf"\g<1>{name}-", element)


def png_bytes(figure: Figure) -> bytes:
    """Returns a drawing as a PNG picture."""
    stream = io.BytesIO()
    with _style():
        figure.savefig(stream, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return stream.getvalue()


@contextmanager
def _style() -> Iterator[None]:
    """Sets the look; a class name in a script that the font lacks is drawn as boxes."""
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        yield
