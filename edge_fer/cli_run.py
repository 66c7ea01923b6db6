"""``edge-fer run`` and ``edge-fer fetch``."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_fer.cli_common import DETECTOR_HELP, Force, Quiet
from edge_fer.errors import EdgeFerError

if TYPE_CHECKING:
    from edge_fer.runtime.loop import Summary

TOKEN_VARIABLE = "EDGE_FER_TOKEN"


def run(
    source: Annotated[
        str,
        typer.Argument(
            help="Photo, folder, video, GIF, /dev/videoN, picamera2, camera, csi, gst:PIPELINE, "
            "rtsp://... or http://..."
        ),
    ] = "camera",
    bundle: Annotated[
        str,
        typer.Option("--model", "--bundle", help="What reads faces: a shipped name, or a path."),
    ] = "",
    detector: Annotated[str, typer.Option(help=DETECTOR_HELP)] = "auto",
    engine: Annotated[str | None, typer.Option(help="litert or onnxruntime.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of one inference.")] = 1,
    faces: Annotated[str, typer.Option(help="all, or the largest only.")] = "all",
    roi: Annotated[
        str, typer.Option(help="Where to look: X,Y,W,H in pixels, or as fractions of the frame.")
    ] = "",
    min_face: Annotated[
        float, typer.Option(min=0, help="Smallest face: pixels, or a fraction below 1.")
    ] = 0.0,
    detect_every: Annotated[
        int, typer.Option(min=0, help="Frames between detections; 0: every 0.3 s.")
    ] = 0,
    detect_width_px: Annotated[
        int, typer.Option(min=0, help="Longest side of what the detector gets; 0: as fits.")
    ] = 0,
    smooth_s: Annotated[
        float, typer.Option(min=0, help="Time constant of steady labels, seconds; 0: none.")
    ] = 0.2,
    unsure: Annotated[
        float, typer.Option(min=0, max=1, help="Say unsure below this probability; 0: never.")
    ] = 0.35,
    neutral_baseline: Annotated[
        bool, typer.Option("--neutral-baseline", help="Learn each person's resting face.")
    ] = False,
    clip_s: Annotated[
        float, typer.Option(help="Length of the clip of a micro-expression bundle, seconds.")
    ] = 0.5,
    size: Annotated[str, typer.Option(help="Size to ask of a camera, WIDTHxHEIGHT.")] = "640x480",
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play a video as a camera would, dropping frames.")
    ] = False,
    retry_s: Annotated[
        float, typer.Option(min=0, help="End when a camera is lost for so long; 0: never.")
    ] = 60.0,
    frames: Annotated[int, typer.Option(min=0, help="Stop after so many frames; 0: never.")] = 0,
    publish: Annotated[
        list[str] | None,
        typer.Option(help="mqtt://HOST/PREFIX, mqtts://HOST/PREFIX or ros2:///TOPIC; repeatable."),
    ] = None,
    serve: Annotated[
        str, typer.Option(help="Show a web page at [HOST:]PORT; this machine alone if no host.")
    ] = "",
    token: Annotated[
        str | None,
        typer.Option(envvar=TOKEN_VARIABLE, help="What viewers of the page must know."),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write a row per face and frame, with the time.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Write an annotated photo, video (.mp4) or folder.")
    ] = None,
    stats: Annotated[
        bool, typer.Option("--stats", help="At the end, tell how steady the labels were.")
    ] = False,
    silent: Annotated[
        bool, typer.Option("--silent", help="Print nothing for each frame, as for a service.")
    ] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log trouble as JSON lines.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per frame.")] = False,
) -> None:
    """Finds faces in photos, videos or a camera and reads their expressions.

    Ctrl-C and SIGTERM stop it cleanly. Exit code 1: an output failed and the run went on.
    """
    from edge_fer.runtime.loop import RunOptions
    from edge_fer.runtime.loop import run as run_loop
    from edge_fer.runtime.recognizer import DEFAULT_BUNDLE
    from edge_fer.runtime.service.logs import set_up_logging
    from edge_fer.runtime.settings import Settings

    settings = Settings(
        detector=detector,
        engine=engine,
        threads=threads,
        faces=faces,
        roi=_region(roi),
        min_face=min_face,
        detect_every=detect_every,
        detect_width_px=detect_width_px,
        smooth_s=smooth_s,
        unsure=unsure,
        neutral_baseline=neutral_baseline,
        clip_s=clip_s,
    )
    options = RunOptions(
        source=source,
        bundle=bundle or DEFAULT_BUNDLE,
        settings=settings,
        lines="none" if silent else "json" if as_json else "text",
        record=record,
        csv=csv,
        publish=tuple(publish or ()),
        serve=serve,
        token=token,
        max_frames=frames,
        size=_size(size),
        every_frame=False if realtime else None,
        retry_s=retry_s,
        force=force,
    )
    set_up_logging(json_lines=log_json, verbose=verbose)
    summary = run_loop(options, sys.stdout)
    if stats:
        _tell_steadiness(summary, as_json=as_json)
    if not quiet:
        sys.stderr.write(f"{summary}\n")
    if summary.failures:
        raise typer.Exit(1)


def fetch(
    name: Annotated[str, typer.Argument(help="What to fetch: yunet.")],
    file: Annotated[
        Path | None, typer.Option(help="Take this copy, brought by hand, instead of the network.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write it there.")] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Downloads a detector's model once, and checks it; `run --detector yunet` then finds it."""
    from edge_fer.fetch import fetch_model
    from edge_fer.show_run import download_progress

    progress = None if quiet else download_progress
    typer.echo(fetch_model(name, file=file, out=out, force=force, progress=progress))


def _region(text: str) -> tuple[float, float, float, float] | None:
    if not text:
        return None
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise EdgeFerError(f"--roi {text}: give four numbers, X,Y,W,H") from None
    return x, y, w, h


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) * int(height)):
        raise EdgeFerError(f"--size {text}: give WIDTHxHEIGHT, e.g. 640x480")
    return int(width), int(height)


def _tell_steadiness(summary: "Summary", *, as_json: bool) -> None:
    document = summary.steadiness.to_dict()
    if as_json:
        sys.stdout.write(json.dumps(document) + os.linesep)
        return
    from edge_fer.show_run import steadiness_table

    steadiness_table(document)
