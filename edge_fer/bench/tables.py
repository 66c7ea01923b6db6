"""Documents of ``edge-fer/bench/1`` as tables, for the terminal, for papers and for pages."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from edge_fer.report.table import Table, interval, percent

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]
_MEASURED_BESIDE = ("params", "params_total", "params_trainable", "flops", "size", "speed")


def bench_tables(document: Mapping[str, Any]) -> list[Table]:
    """Returns every table that a document has something for."""
    tables = [_paper_table(paper, document["rows"]) for paper in document.get("papers", ())]
    if "suite" in document:
        tables.append(_zoo_table(document))
    else:
        tables.append(_latency_table(document))
    tables.append(_start_table(document))
    tables += _limit_tables(document)
    tables += [_ops_table(record) for record in document.get("ops", ())]
    if "stages" in document:
        tables.append(_stages_table(document["stages"]))
    if "sustained" in document:
        tables.append(_sustained_table(document["sustained"]))
    return tables


def comparison_table(document: Mapping[str, Any]) -> Table:
    """Returns the table of ``edge-fer/bench-compare/1``."""
    rows = [
        (
            row["file"],
            row["engine"],
            str(row["threads"]),
            f"{row['before_p50_ms']:.3f}",
            f"{row['after_p50_ms']:.3f}",
            f"{row['ratio']:.3f}",
            _range(row["ratio_ci95"], 3),
            number(row["cpu_ratio"], digits=3),
            row["verdict"],
        )
        for row in document["rows"]
    ]
    heads = ("file", "engine", "thr", "before ms", "after ms", "ratio", "95 %", "CPU ratio")
    return Table(title="After against before, medians", heads=(*heads, "verdict"), rows=tuple(rows))


def machine_line(document: Mapping[str, Any]) -> str:
    """Returns the machine in short."""
    machine = document["machine"]
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}"


def number(value: float | None, unit: float = 1, digits: int = 2) -> str:
    """Returns a figure in units of ``unit``, a dash where there is none."""
    return "-" if value is None else f"{value / unit:.{digits}f}"


def _range(bounds: Sequence[float] | None, digits: int) -> str:
    return "-" if bounds is None else f"{bounds[0]:.{digits}f}-{bounds[1]:.{digits}f}"


def _figure(head: str, key: str, unit: float = 1, digits: int = 2) -> Column:
    return head, lambda row: number(row.get(key), unit, digits)


_WHICH: tuple[Column, ...] = (
    ("file", lambda row: str(row["file"])),
    ("engine", lambda row: str(row["engine"])),
    ("thr", lambda row: str(row["threads"])),
)
_LATENCY: tuple[Column, ...] = (
    _figure("p50 ms", "p50_ms", digits=3),
    ("95 %", lambda row: _range(row.get("p50_ci95_ms"), 3)),
    _figure("p90 ms", "p90_ms", digits=3),
    _figure("p99 ms", "p99_ms", digits=3),
    _figure("p99.9 ms", "p999_ms", digits=3),
    _figure("fps", "fps", digits=0),
    _figure("CPU ms", "cpu_ms", digits=3),
    _figure("x fastest", "ratio"),
    ("95 %", lambda row: _range(row.get("ratio_ci95"), 2)),
    _figure("load", "load"),
)
_COST: tuple[Column, ...] = (
    _figure("params M", "params", 1e6, 3),
    _figure("FLOPs M", "flops", 1e6),
    _figure("MB", "size_mb", digits=3),
)
_START: tuple[Column, ...] = (
    _figure("MACs M", "macs", 1e6),
    _figure("arena MB", "arena_mb", digits=3),
    _figure("RSS MB", "rss_mb", digits=1),
    _figure("cold start ms", "cold_start_ms", digits=0),
    _figure("load ms", "load_ms", digits=0),
    _figure("first ms", "first_inference_ms"),
    _figure("energy mJ", "energy_mj", digits=3),
)


def _table(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    return Table(
        title=title,
        heads=tuple(head for head, _ in columns),
        rows=tuple(tuple(cell(row) for _, cell in columns) for row in rows),
    )


def _latency_table(document: Mapping[str, Any]) -> Table:
    return _table(machine_line(document), (*_WHICH, *_LATENCY), document["rows"])


def _start_table(document: Mapping[str, Any]) -> Table:
    columns = (*_WHICH, *_COST, *_START)
    return _table("Cost, memory, start and energy", columns, document["rows"])


def _zoo_table(document: Mapping[str, Any]) -> Table:
    accuracy: tuple[Column, ...] = (
        ("accuracy %", lambda row: percent(row.get("accuracy"))),
        ("95 %", lambda row: interval(row.get("accuracy_ci95"))),
        ("on", lambda row: str(row.get("accuracy_on") or "-")),
    )
    times = (_figure("p50 ms", "p50_ms", digits=3), _figure("fps", "fps", digits=0))
    columns = (*_WHICH, *_COST, *times, *accuracy)
    return _table(f"Measured on {machine_line(document)}", columns, document["rows"])


def _limit_tables(document: Mapping[str, Any]) -> Iterator[Table]:
    if any("limit_percent" in row for row in document["rows"]):
        columns = (
            *_WHICH,
            _figure("MACs M", "macs", 1e6),
            _figure("GMAC/s", "gmacs_per_s", digits=1),
            _figure("limit GMAC/s", "limit_gmacs_per_s", digits=1),
            _figure("% of limit", "limit_percent", digits=1),
        )
        title = "How far from the engine's large product (1x1 convolution, 512 channels)"
        yield _table(title, columns, document["rows"])


def _paper_table(paper: Mapping[str, Any], rows: Sequence[Row]) -> Table:
    columns: tuple[Column, ...] = (
        ("row", lambda figure: ", ".join(figure[k] for k in ("row", "column") if k in figure)),
        ("where", lambda figure: str(figure["table"])),
        ("quantity", lambda figure: str(figure["quantity"])),
        ("paper", lambda figure: f"{figure['value']:,} {figure['unit']}"),
        ("ours, counted", _counted),
        ("difference %", lambda figure: _signed(figure.get("difference_percent"))),
        ("ours, measured", lambda figure: _measured(figure, rows)),
    )
    return _table(str(paper["title"]), columns, paper["figures"])


def _counted(figure: Row) -> str:
    if figure["unit"] == "parameters" and "ours" in figure:
        return f"{figure['ours']:,.0f}"
    return number(figure.get("ours"), digits=3)


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _measured(figure: Row, rows: Sequence[Row]) -> str:
    """Size of our files, or speed or time on the fastest engine, float and INT8."""
    if figure["quantity"] not in _MEASURED_BESIDE or not figure.get("model"):
        return "-"
    own = [row for row in rows if row["model"] == figure["model"]]
    parts = []
    for precision in ("fp32", "int8"):
        fastest = min(
            (row for row in own if row["precision"] == precision),
            key=lambda row: float(row["p50_ms"]),
            default=None,
        )
        if fastest is not None:
            parts.append(f"{precision} {_in_unit(figure['quantity'], fastest)}")
    return ", ".join(parts) or "-"


def _in_unit(quantity: str, row: Row) -> str:
    if quantity == "size":
        return f"{row['size_mb']:.2f} MB"
    return (
        f"{number(row['fps'], digits=0)} fps" if quantity == "speed" else f"{row['p50_ms']:.2f} ms"
    )


def _ops_table(record: Mapping[str, Any]) -> Table:
    columns: tuple[Column, ...] = (
        ("operator", lambda row: str(row["name"])),
        ("kind", lambda row: str(row["kind"])),
        _figure("ms", "ms", digits=4),
        ("share %", lambda row: f"{100 * row['share']:.1f}"),
    )
    title = (
        f"{record['file']} on {record['engine']}: operators take {record['sum_ms']:.3f} ms, "
        f"{record['explained']:.0%} of {record['whole_ms']:.3f} ms"
    )
    return _table(title, columns, record["operators"])


def _stages_table(stages: Mapping[str, Any]) -> Table:
    columns: tuple[Column, ...] = (
        ("stage", lambda row: str(row["stage"])),
        _figure("mean ms", "mean_ms", digits=3),
        _figure("p50 ms", "p50_ms", digits=3),
        _figure("p90 ms", "p90_ms", digits=3),
        ("share %", lambda row: f"{100 * row['share']:.1f}"),
    )
    title = (
        f"{stages['source']}: {stages['frames']} frames, a face in {stages['with_face']}; stages "
        f"are {stages['explained']:.1%} of the mean frame, {stages['frame_ms']:.2f} ms "
        f"({number(stages['fps'], digits=0)} fps at the median)"
    )
    return _table(title, columns, stages["stages"])


def _sustained_table(sustained: Mapping[str, Any]) -> Table:
    columns: tuple[Column, ...] = (
        ("minute", lambda row: str(row["minute"])),
        ("inferences", lambda row: f"{row['inferences']:,}"),
        _figure("p50 ms", "p50_ms", digits=3),
        _figure("p90 ms", "p90_ms", digits=3),
        _figure("°C", "temperature_c", digits=1),
        _figure("MHz", "clock_mhz", digits=0),
        ("throttled", lambda row: _flags(row["throttled"])),
        _figure("W", "power_w"),
    )
    title = f"{sustained['file']} on {sustained['engine']}: {sustained['verdict']}"
    return _table(title, columns, sustained["minutes"])


def _flags(flags: Sequence[str] | None) -> str:
    return "-" if flags is None else ", ".join(flags) or "no"
