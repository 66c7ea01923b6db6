"""Measures edge-fer beside what users would pick instead, on the same pictures, in turn.

    python benchmarks/peers/compare.py --faces fer2013:FILE --clip CLIP... --out results.json

README.md in this folder says more.
"""

import argparse
import datetime
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accuracy import measure_accuracy
from catalogue import CLASSIFIER, PEERS, PIPELINE, contenders
from contest import Contest, Material, contest, with_detector
from environments import default_folder
from pictures import read_frames, read_labelled_faces, write_pictures
from rounds import Part, measure, rows_of
from starts import cold_starts
from tables import as_markdown

from edge_fer.bench.bench import noise_warnings
from edge_fer.errors import DataError, EdgeFerError
from edge_fer.evaluate.labelled import Labelled
from edge_fer.files import write_atomic
from edge_fer.telemetry import load_1min, machine

SCHEMA = "edge-fer/peers/1"
FACES_A_ROUND, FACES_WARMUP = 20, 3
FRAMES_A_ROUND, FRAMES_WARMUP = 10, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, writes the document and prints its tables; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        document = compare(options)
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        write_atomic(options.out, lambda file: file.write_text(text))
    except EdgeFerError as error:
        _say(f"error: {error}")
        return 2
    sys.stdout.write(as_markdown(document))
    for line in (*document["skipped"], *document["warnings"]):
        _say(line)
    return 0


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Installs what is missing, measures, and returns the document.

    Raises:
        EdgeFerError: Pictures cannot be read, or edge-fer itself does not run.
    """
    earlier = read_accuracy(options.accuracy) if options.accuracy else None
    labelled = read_labelled_faces(options.faces, options.split)
    wanted = with_detector(contenders(options.peers), options.yunet)
    if options.accuracy_only:
        wanted = [one for one in wanted if CLASSIFIER in one.parts]
    with tempfile.TemporaryDirectory() as folder:
        material = _material(options, labelled, Path(folder))
        load_before = load_1min()
        with contest(wanted, material, options.envs, _say) as running:
            measured = {} if options.accuracy_only else _timed(options, running, material)
            accuracy = earlier or measure_accuracy(
                running.doing(CLASSIFIER), material.faces, labelled, running.skipped, _say
            )
    return (
        _head(options, running, load_before)
        | measured
        | {"accuracy": accuracy}
        | {
            "skipped": running.skipped,
            "warnings": _warnings(measured, load_before),
        }
    )


def read_accuracy(path: Path) -> dict[str, Any]:
    """Returns the accuracy of an earlier document.

    Raises:
        DataError: It is not such a document.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable comparison ({error})") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise DataError(f"{path}: not a document of schema {SCHEMA}")
    accuracy: dict[str, Any] = document["accuracy"]
    return accuracy


def _material(options: argparse.Namespace, labelled: Labelled, folder: Path) -> Material:
    images_NHW = labelled.faces.images_NHW[: options.faces_limit]
    faces = write_pictures(folder / "faces.gray", images_NHW)
    if options.accuracy_only:
        return Material(faces=faces, frames=None)
    frames = read_frames(options.clip, options.photo, FRAMES_A_ROUND * options.rounds)
    if not frames:
        raise DataError("no frames: give --clip or --photo, or --accuracy-only")
    return Material(faces=faces, frames=write_pictures(folder / "frames.bgr", frames))


def _timed(options: argparse.Namespace, running: Contest, material: Material) -> dict[str, Any]:
    assert material.frames is not None
    parts = {
        "classifier": Part(
            op=CLASSIFIER, pictures=material.faces, count=FACES_A_ROUND, warmup=FACES_WARMUP
        ),
        "pipeline": Part(
            op=PIPELINE, pictures=material.frames, count=FRAMES_A_ROUND, warmup=FRAMES_WARMUP
        ),
    }
    measured = {}
    for name, part in parts.items():
        _say(f"{name}: {options.rounds} rounds")
        blocks = measure(part, running.doing(part.op), options.rounds, running.skipped)
        measured[name] = rows_of(part, blocks)
    _say(f"cold starts: {options.starts} each")
    commands = {name: running.commands[name] for name in running.doing(CLASSIFIER)}
    starts = cold_starts(commands, material.frames, options.starts, running.skipped)
    measured["starts"] = [row | {"disk_mb": _disk_mb(running, row["name"])} for row in starts]
    return measured


def _disk_mb(running: Contest, name: str) -> float:
    size_mb: float = running.peers[running.contenders[name].peer]["disk_mb"]
    return size_mb


def _head(
    options: argparse.Namespace, running: Contest, load_before: float | None
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "command": _command(),
        "date": datetime.datetime.now().date().isoformat(),
        "machine": machine() | {"load_before": load_before, "load_after": load_1min()},
        "settings": {
            "threads": 1,
            "rounds": options.rounds,
            "faces_a_round": FACES_A_ROUND,
            "frames_a_round": FRAMES_A_ROUND,
            "starts": options.starts,
        },
        "peers": running.peers,
    }


def _command() -> str:
    """The command line, with files by their names only."""
    words = [
        word if word.startswith("-") else f"{kind}{colon}{Path(rest).name}"
        for word in sys.argv[1:]
        for kind, colon, rest in [word.partition(":") if ":" in word else ("", "", word)]
    ]
    return " ".join(["python benchmarks/peers/compare.py", *words])


def _warnings(measured: dict[str, Any], load_before: float | None) -> list[str]:
    rows = [*measured.get("classifier", ()), *measured.get("pipeline", ())]
    return noise_warnings(rows, load_before, os.cpu_count() or 1) if rows else []


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--faces", required=True, metavar="SPEC", help="48x48 gray faces, e.g. fer2013:FILE")
    add("--split", default="PrivateTest", help="of the faces")
    add("--faces-limit", type=int, metavar="N", help="only the first N faces")
    add("--clip", nargs="+", type=Path, default=[], help="videos with faces")
    add("--photo", nargs="+", type=Path, default=[], help="photos with faces, held for 10 frames")
    add("--yunet", type=_absolute, help="YuNet's file, for edge-fer with that detector too")
    add("--out", required=True, type=Path, help="the JSON document")
    add("--envs", type=_absolute, default=default_folder(), help="where peers are installed")
    add("--peers", nargs="+", default=[], choices=sorted(PEERS), help="only these and edge-fer")
    add("--rounds", type=int, default=20, help="interleaved rounds")
    add("--starts", type=int, default=5, help="processes to measure each cold start in")
    add("--accuracy", type=Path, metavar="FILE", help="take accuracy from an earlier document")
    add("--accuracy-only", action="store_true", help="measure accuracy and no times")
    return parser


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()


if __name__ == "__main__":
    sys.exit(main())
