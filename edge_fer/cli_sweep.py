"""``edge-fer sweep``."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_fer.cli_common import Force, Json, Quiet, command_line, print_json

if TYPE_CHECKING:
    from edge_fer.sweep.request import Sweep
    from edge_fer.sweep.runners import Runner


def sweep(
    file: Annotated[
        str, typer.Argument(help="SWEEP.toml: settings, and axes to cross; by name or path.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the sweep.")],
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Run on a Ray cluster: auto, HOST:PORT, or local for one here."
        ),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page of everything, HTML.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep in OUT.")] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Trains and judges every combination of settings; mean, spread and interval over seeds.

    Exit code 1: a trial failed; --resume tries it again.
    """
    from edge_fer.files import refuse_overwrite
    from edge_fer.resources import find_resource
    from edge_fer.show_sweep import line_printer, step_printer, sweep_summary
    from edge_fer.sweep.request import read_sweep
    from edge_fer.sweep.sweep import run_sweep

    if report:
        refuse_overwrite(report, force=force or resume)
        from edge_fer.sweep.page import write_report
    wanted = read_sweep(find_resource("sweep", file))
    command = command_line()
    runner = _runner(wanted, ray, command, quiet=quiet)
    try:
        document = run_sweep(
            wanted, out, runner, command, step_printer(quiet=quiet), resume=resume, force=force
        )
    except KeyboardInterrupt:
        line_printer(quiet=False)(f"edge-fer: stopped; go on with: {command} --resume")
        raise typer.Exit(130) from None
    if report:
        write_report(report, document)
    if as_json:
        print_json(document)
    else:
        sweep_summary(document)
    failed = sum(trial["status"] == "failed" for trial in document["trials"])
    if failed:
        sys.stderr.write(f"edge-fer: trials failed: {failed}; --resume tries them again\n")
        raise typer.Exit(1)


def _runner(wanted: "Sweep", address: str | None, command: str, *, quiet: bool) -> "Runner":
    from edge_fer.show_sweep import line_printer
    from edge_fer.sweep.runners import run_here, run_on_ray

    if address:
        import ray  # noqa: F401  # a missing extra is said before anything starts

        return partial(run_on_ray, sweep=wanted, address=address, command=command)
    return partial(run_here, command=command, announce=line_printer(quiet=quiet))
