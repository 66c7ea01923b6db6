"""The pictures of a benchmark: who is on the Pareto front, how times scatter, minute by minute."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from edge_fer.report.plots import BLUE, GRAY, ORANGE, drawing

Row = Mapping[str, Any]
_WIDTH_IN, _HEIGHT_IN, _LINE_IN = 5.6, 3.8, 0.28
_COLOURS = {"int8": BLUE, "fp32": ORANGE}


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Returns which of ``(cost, gain)`` no other beats in both, by rising cost."""
    front: list[int] = []
    best = float("-inf")
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if points[index][1] > best:
            front.append(index)
            best = points[index][1]
    return front


def pareto_rows(rows: Sequence[Row], key: str) -> list[Row]:
    """Returns the rows on the front of accuracy over the cost under ``key``, cheapest first."""
    return [rows[i] for i in pareto_front(_points(rows, key))]


def pareto_figure(rows: Sequence[Row], key: str, label: str) -> Figure:
    """Draws accuracy over a cost, the line of those that nothing beats, and their numbers.

    Args:
        rows: Of a document, each with an accuracy and a value under ``key``.
        key: Of the cost.
        label: Of its axis.
    """
    points = _points(rows, key)
    front = [points[i] for i in pareto_front(points)]
    with drawing(_WIDTH_IN, _HEIGHT_IN) as figure:
        axes = figure.subplots()
        axes.plot(*zip(*front, strict=True), color=GRAY, drawstyle="steps-post")
        _scatter(axes, rows, points)
        place: Any = {"xytext": (-4, 4), "textcoords": "offset points", "ha": "right"}
        for number, point in enumerate(front, 1):
            axes.annotate(str(number), point, fontweight="bold", **place)
        axes.margins(0.15, 0.25)
        axes.set_xlim(left=0)
        axes.set(xlabel=label, ylabel="accuracy, %")
    return figure


def _points(rows: Sequence[Row], key: str) -> list[tuple[float, float]]:
    return [(float(row[key]), 100 * float(row["accuracy"])) for row in rows]


def _scatter(axes: Axes, rows: Sequence[Row], points: Sequence[tuple[float, float]]) -> None:
    for precision in dict.fromkeys(str(row["precision"]) for row in rows):
        own = [i for i, row in enumerate(rows) if row["precision"] == precision]
        x, y = zip(*(points[i] for i in own), strict=True)
        marker = "s" if precision == "fp32" else "o"
        axes.scatter(x, y, color=_COLOURS.get(precision, GRAY), marker=marker, label=precision)
    axes.legend(frameon=False, loc="lower right")


def latency_figure(rows: Sequence[Row]) -> Figure:
    """Draws median, p90 and p99 of each row, on a logarithmic scale."""
    height_in = 1.2 + _LINE_IN * len(rows)
    with drawing(2 * _WIDTH_IN, height_in) as figure:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour = _COLOURS.get(row["precision"], GRAY)
            axes.plot([row["p50_ms"], row["p99_ms"]], [place, place], color=colour, linewidth=1)
            axes.plot([row["p50_ms"], row["p90_ms"]], [place, place], color=colour, linewidth=4)
            axes.plot(row["p50_ms"], place, "o", color=colour, markersize=6)
        names = [f"{row['file']} {row['engine']} {row['threads']} thr" for row in rows]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(visible=True, axis="x", color="#dddddd")
        axes.set(xlabel="ms of one inference: median (dot), to p90 (thick), to p99 (thin)")
    return figure


def sustained_figure(sustained: Mapping[str, Any]) -> Figure:
    """Draws median and p90 of each minute, and temperature and clock where they are known."""
    minutes = sustained["minutes"]
    sensors = {
        name: key
        for name, key in (("°C", "temperature_c"), ("MHz", "clock_mhz"), ("W", "power_w"))
        if any(minute[key] is not None for minute in minutes)
    }
    numbers = [minute["minute"] for minute in minutes]
    with drawing(_WIDTH_IN, 2.6 + 1.2 * len(sensors)) as figure:
        panels = figure.subplots(
            1 + len(sensors), 1, sharex=True, squeeze=False, height_ratios=[2] + [1] * len(sensors)
        )[:, 0]
        for key, colour in (("p50_ms", BLUE), ("p90_ms", ORANGE)):
            values = [minute[key] for minute in minutes]
            panels[0].plot(numbers, values, "o-", color=colour, label=key.removesuffix("_ms"))
        panels[0].set(ylabel="ms", ylim=(0, None))
        panels[0].legend(frameon=False)
        for axes, (name, key) in zip(panels[1:], sensors.items(), strict=True):
            known = [(m["minute"], m[key]) for m in minutes if m[key] is not None]
            axes.plot(*zip(*known, strict=True), "o-", color=GRAY)
            axes.set(ylabel=name)
        panels[-1].set(xlabel="minute")
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
    return figure


def stages_figure(stages: Mapping[str, Any]) -> Figure:
    """Draws the mean time of each stage."""
    own = stages["stages"]
    with drawing(_WIDTH_IN, 1.0 + _LINE_IN * len(own)) as figure:
        axes = figure.subplots()
        bars = axes.barh(
            [stage["stage"] for stage in own], [stage["mean_ms"] for stage in own], color=BLUE
        )
        axes.bar_label(bars, [f"{stage['mean_ms']:.2f} ms" for stage in own], padding=3, fontsize=7)
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.set(xlabel="mean ms of a frame")
    return figure
