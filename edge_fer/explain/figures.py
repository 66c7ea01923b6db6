"""The pictures, drawn with matplotlib's objects, without its global state.

Heat is coloured with inferno and classes with Okabe and Ito's colours and a marker each, so that
neither needs an eye for colours.

Shape suffixes: N faces, H height, W width (pixels), P landmarks, 2 is (x, y).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fer.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

DPI = 150
CELL_INCHES = 1.6
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31",
)  # fmt: skip
MARKERS = "osD^vPX*<>"
_HEAT_COLOURS = "inferno"
_OPACITY = 0.65
_GAP = 0.04
_LINE_INCHES = 0.17
_BAR_INCHES = 2.4


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One picture of a grid.

    Attributes:
        pixels: uint8 ``[H, W, 3]`` RGB.
        title: Above it.
        note: Below it.
    """

    pixels: np.ndarray
    title: str = ""
    note: str = ""


def rgb(pixels: np.ndarray) -> np.ndarray:
    """Turns uint8 ``[H, W]`` gray or ``[H, W, 3]`` RGB into ``[H, W, 3]``."""
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., np.newaxis], 3, axis=2)


def overlay(pixels: np.ndarray, heat_HW: np.ndarray) -> np.ndarray:
    """Lays heat over a face; where there is none, the face shows.

    Args:
        pixels: uint8 ``[H, W]`` gray or ``[H, W, 3]`` RGB.
        heat_HW: 0..1.

    Returns:
        uint8 ``[H, W, 3]`` RGB.
    """
    from matplotlib import colormaps

    colour_HW3 = colormaps[_HEAT_COLOURS](heat_HW)[..., :3] * 255
    opacity_HW1 = _OPACITY * np.sqrt(heat_HW)[..., np.newaxis]
    mixed_HW3 = rgb(pixels) * (1 - opacity_HW1) + colour_HW3 * opacity_HW1
    return np.asarray(mixed_HW3.round(), np.uint8)


def pair(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Puts two RGB pictures of one size side by side, with a white gap."""
    gap = np.full((left.shape[0], round(_GAP * left.shape[0]) or 1, 3), 255, np.uint8)
    return np.hstack([left, gap, right])


def grid(
    rows: Sequence[Sequence[Cell | None]], title: str, row_names: Sequence[str] = ()
) -> "Figure":
    """Draws pictures in rows, with a colour bar for their heat.

    Args:
        rows: Of cells; None leaves a place empty.
        title: Of the figure.
        row_names: At the left of each row.
    """
    columns = max(len(row) for row in rows)
    height, width = next(cell for row in rows for cell in row if cell).pixels.shape[:2]
    height_inches = sum(CELL_INCHES + _LINE_INCHES * _text_lines(row) for row in rows) + 0.6
    figure = _figure(CELL_INCHES * width / height * columns + 1.2, height_inches)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for number, row in enumerate(rows):
        for column in range(columns):
            _draw_cell(axes[number][column], row[column] if column < len(row) else None)
        if row_names:
            axes[number][0].set_ylabel(row_names[number], fontsize=10)
    figure.suptitle(title, fontsize=10)
    _heat_bar(figure, axes)
    return figure


def scatter(
    points_N2: np.ndarray, labels_N: np.ndarray, names: Sequence[str], title: str
) -> "Figure":
    """Draws points of named classes, small classes on top of big ones."""
    figure = _figure(7.5, 5.5)
    axes = figure.subplots()
    for label, name in enumerate(names):
        points = points_N2[labels_N == label]
        if len(points):
            drawn = _points(axes, points, label, size=20)
            drawn.set(label=f"{name} ({len(points)})", alpha=0.75, zorder=2 + 1 / len(points))
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")
    figure.legend(loc="outside right center", frameon=False, markerscale=1.5)
    figure.suptitle(title, fontsize=10)
    return figure


def landmark_rows(
    faces: Sequence[np.ndarray],
    rows: Mapping[str, Mapping[str, np.ndarray]],
    labels_N682: np.ndarray,
    title: str,
) -> "Figure":
    """Draws predicted landmarks over faces, a colour and a marker per part, one row per state.

    Args:
        faces: uint8 ``[H, W]`` or ``[H, W, 3]`` RGB each.
        rows: By state (``before``), by part, ``[N, P, 2]``, fractions.
        labels_N682: Labels ``[N, 68, 2]``, drawn as small crosses.
        title: Of the figure.
    """
    figure = _figure(2.2 * len(faces) + 1.6, 2.3 * len(rows) + 0.5)
    axes = figure.subplots(len(rows), len(faces), squeeze=False)
    handles: dict[str, Any] = {}
    for (state, parts), of_row in zip(rows.items(), axes, strict=True):
        of_row[0].set_ylabel(state, fontsize=10)
        for face, (place, axis) in enumerate(zip(faces, of_row, strict=True)):
            _draw_cell(axis, Cell(pixels=rgb(place)))
            handles |= _draw_landmarks(axis, place.shape, parts, labels_N682, face)
    figure.legend(handles.values(), handles, loc="outside right center", facecolor="0.75")
    figure.suptitle(title, fontsize=10)
    return figure


def save(path: Path, figure: "Figure") -> None:
    """Writes a figure as PNG, atomically."""
    write_atomic(path, lambda file: figure.savefig(file, format="png", dpi=DPI))


def _figure(width_inches: float, height_inches: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure((width_inches, height_inches), layout="constrained")


def _text_lines(row: Sequence[Cell | None]) -> int:
    """Lines of text above and below the pictures of a row."""
    cells = [cell for cell in row if cell]
    return sum(
        max((len(getattr(cell, side).splitlines()) for cell in cells), default=0)
        for side in ("title", "note")
    )


def _points(axes: "Axes", points_N2: np.ndarray, number: int, size: float) -> "PathCollection":
    """Draws points in the colour and with the marker of a class or part."""
    return axes.scatter(
        points_N2[:, 0],
        points_N2[:, 1],
        s=size,
        linewidths=0,
        color=COLOURS[number % len(COLOURS)],
        marker=MARKERS[number % len(MARKERS)],
    )


def _draw_cell(axes: "Axes", cell: Cell | None) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if cell:
        axes.imshow(cell.pixels, interpolation="nearest")
        axes.set_title(cell.title, fontsize=9)
        axes.set_xlabel(cell.note, fontsize=8)


def _heat_bar(figure: "Figure", axes: Any) -> None:
    from matplotlib.cm import ScalarMappable

    shrink = min(0.8, _BAR_INCHES / figure.get_figheight())
    bar = figure.colorbar(ScalarMappable(cmap=_HEAT_COLOURS), ax=axes, shrink=shrink, aspect=14)
    bar.set_label("heat / its maximum", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _draw_landmarks(
    axes: "Axes",
    shape: tuple[int, ...],
    parts: Mapping[str, np.ndarray],
    labels_N682: np.ndarray,
    face: int,
) -> dict[str, Any]:
    """Draws one face's points; fractions become pixels, whose centres are whole numbers."""
    from matplotlib.patheffects import withStroke

    size_2 = np.array(shape[1::-1])
    x, y = (labels_N682[face] * size_2 - 0.5).T
    handles = {"label": axes.scatter(x, y, s=14, marker="+", color="white", linewidths=0.8)}
    handles["label"].set_path_effects([withStroke(linewidth=2, foreground="black")])
    for number, (part, points_NP2) in enumerate(parts.items()):
        handles[part] = _points(axes, points_NP2[face] * size_2 - 0.5, number, size=13)
    axes.set(xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))
    return handles
