"""``edge-fer bench``."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_fer.cli_common import DETECTOR_HELP
from edge_fer.errors import EdgeFerError

if TYPE_CHECKING:
    from edge_fer.bench.stages import StageRequest
    from edge_fer.bench.suite import Suite

COMPARE = "compare"
TABLE_FORMATS = ("table", "markdown", "csv", "latex")


def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Bundles, .tflite and .onnx files; the shipped bundle if none. "
            "compare A.json B.json: what changed between two results."
        ),
    ] = None,
    suite: Annotated[
        str, typer.Option(help="papers, zoo, or the path of a suite, instead of files.")
    ] = "",
    engine: Annotated[
        str, typer.Option(help="Engines, comma-separated; by default every one installed.")
    ] = "",
    threads: Annotated[
        str, typer.Option(help="Thread counts; by default 1, 2, 4 .. all cores.")
    ] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 20,
    inferences: Annotated[int, typer.Option(min=1, help="Timed inferences per round.")] = 50,
    starts: Annotated[
        int, typer.Option(min=1, help="Processes to measure each row's start and memory in.")
    ] = 3,
    limit: Annotated[
        bool, typer.Option("--limit", help="Also MAC/s against the engine's large product.")
    ] = False,
    ops: Annotated[
        bool, typer.Option("--ops", help="Also the time of each operator, by engine profilers.")
    ] = False,
    space: Annotated[
        str,
        typer.Option(
            metavar="CELLSxNODESxCHANNELS@PX",
            help="With --ops, instead of files: every operation of edge-fer search at every place.",
        ),
    ] = "",
    probes: Annotated[
        Path | None,
        typer.Option(
            help="With --ops: folder of the tiny networks for that; made by --space, or without "
            "it measured as they are."
        ),
    ] = None,
    check: Annotated[
        int, typer.Option(min=0, help="Networks drawn by lot to check --space's prediction on.")
    ] = 3,
    stages: Annotated[
        str, typer.Option(help="Also the stages of the whole pipeline, on this photo or clip.")
    ] = "",
    frames: Annotated[int, typer.Option(min=1, help="Frames of --stages.")] = 100,
    detector: Annotated[str, typer.Option(help=f"Of --stages: {DETECTOR_HELP}")] = "auto",
    sustained: Annotated[
        int, typer.Option(min=0, help="Also run the fastest row so many minutes.")
    ] = 0,
    on: Annotated[
        str, typer.Option(help="Measure on a device, USER@HOST, by the release that runs there.")
    ] = "",
    table_format: Annotated[
        str, typer.Option("--format", help="table, markdown, csv or latex.")
    ] = "table",
    report: Annotated[Path | None, typer.Option(help="Write a page of everything, HTML.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Also write the JSON document here; in a folder it gets a name."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is already there.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print results only, no progress.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document for machines.")
    ] = False,
) -> None:
    """Measures latency, size, memory and cost of every file on every installed engine."""
    from edge_fer.bench.bench import Request
    from edge_fer.bench.session import Listener, Session, result_path, run_session
    from edge_fer.files import refuse_overwrite, write_atomic
    from edge_fer.resources import find_resource
    from edge_fer.show import round_printer, stage_printer
    from edge_fer.show_bench import minute_printer, print_bench

    if table_format not in TABLE_FORMATS:
        raise EdgeFerError(f"--format {table_format!r} is none of {', '.join(TABLE_FORMATS)}")
    if models and models[0] == COMPARE:
        _compare(models[1:], table_format, as_json=as_json)
        return
    if suite and models:
        raise EdgeFerError("give files or --suite, not both")
    for path in filter(None, (report, out)):
        refuse_overwrite(path, force=force or path.is_dir())
    if space or probes:
        _require_ops_alone(ops and not (models or suite or report or on))
        table = _op_table(space, probes, check, rounds, inferences, quiet=quiet)
        _finish_op_table(table, out, force=force, as_json=as_json)
        return
    if report:
        from edge_fer.bench.page import write_report
    names = [] if on else models or ([] if suite else [_default_bundle()])
    counts = [1] if suite and not threads else _thread_counts(threads)
    session = Session(
        paths=[find_resource("bundle", name) for name in names],
        suite=_suite(suite) if suite else None,
        request=Request(
            threads=counts,
            rounds=rounds,
            inferences=inferences,
            engines=[name.strip() for name in engine.split(",") if name.strip()],
            limit=limit,
            starts=starts,
        ),
        ops=ops,
        stages=_stages(names, stages, detector, counts[0], frames) if stages else None,
        sustained_min=sustained,
    )
    listener = Listener(
        announce=stage_printer(quiet=quiet),
        on_round=round_printer(rounds, quiet=quiet),
        on_minute=minute_printer(quiet=quiet),
    )
    document = _on(on, models, rounds, inferences) if on else run_session(session, listener)
    if out:
        path = result_path(out, document)
        refuse_overwrite(path, force=force)
        write_atomic(path, lambda file: file.write_text(json.dumps(document, indent=1) + "\n"))
    if report:
        write_report(report, document)
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        print_bench(document, table_format)


def _on(host: str, models: Sequence[str] | None, rounds: int, inferences: int) -> dict[str, Any]:
    from edge_fer.deploy.bench_on import bench_on
    from edge_fer.deploy.release import DEVICE_BUNDLE

    counts = ("--rounds", str(rounds), "--inferences", str(inferences))
    return bench_on(host, (*(models or (DEVICE_BUNDLE,)), *counts))


def _require_ops_alone(alone: bool) -> None:
    if not alone:
        raise EdgeFerError("--space and --probes go with --ops, without files, --report or --on")


def _op_table(
    space: str, probes: Path | None, check: int, rounds: int, inferences: int, *, quiet: bool
) -> dict[str, Any]:
    """Writes the probes of a space, if one is given, and measures them."""
    from edge_fer.bench.op_table import measure_table
    from edge_fer.search.op_table_schema import PRECISIONS
    from edge_fer.show import round_printer

    with TemporaryDirectory() as passing:
        folder = probes or Path(passing)
        if space:
            from edge_fer.bench.probes import write_probes
            from edge_fer.search.space import parse_space
            from edge_fer.show_search import count_printer

            write_probes(parse_space(space), folder, check, count_printer("probe", quiet=quiet))
        on_round = round_printer(rounds * len(PRECISIONS), quiet=quiet)
        return measure_table(folder, rounds=rounds, inferences=inferences, on_round=on_round)


def _finish_op_table(
    table: dict[str, Any], out: Path | None, *, force: bool, as_json: bool
) -> None:
    from edge_fer.bench.session import result_path
    from edge_fer.files import refuse_overwrite, write_atomic
    from edge_fer.show_search import print_op_table

    if out:
        path = result_path(out, table | {"suite": {"name": f"ops-{table['name']}"}})
        refuse_overwrite(path, force=force)
        write_atomic(path, lambda file: file.write_text(json.dumps(table, indent=1) + "\n"))
    if as_json:
        typer.echo(json.dumps(table))
    else:
        print_op_table(table)


def _compare(paths: Sequence[str], table_format: str, *, as_json: bool) -> None:
    from edge_fer.bench.compare import compare, read_results
    from edge_fer.show_bench import print_comparison

    if len(paths) != 2:
        raise EdgeFerError("bench compare needs two results: edge-fer bench compare A.json B.json")
    document = compare(*(read_results(Path(path)) for path in paths))
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False))
    else:
        print_comparison(document, table_format)


def _default_bundle() -> str:
    from edge_fer.runtime.recognizer import DEFAULT_BUNDLE

    return DEFAULT_BUNDLE


def _suite(name: str) -> "Suite":
    from edge_fer.bench.suite import read_suite
    from edge_fer.resources import find_resource

    return read_suite(find_resource("suite", name))


def _stages(
    names: Sequence[str], source: str, detector: str, threads: int, frames: int
) -> "StageRequest":
    """The pipeline with the first bundle that is given."""
    from edge_fer.bench.stages import StageRequest

    bundles = [name for name in names if Path(name).suffix not in {".tflite", ".onnx"}]
    return StageRequest(
        source=source,
        bundle=bundles[0] if bundles else _default_bundle(),
        detector=detector,
        threads=threads,
        frames=frames,
    )


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
