"""Judges face detectors on the held-out part of the data, at 160x128 and 320x256.

    python benchmarks/detector.py --data detect:FOLDER,fer2013:FILE --teacher YUNET.onnx \
        [--model NAME=FILE.tflite ...] [--min-score 160=0.5,320=0.5] [--out FILE.json]

Beside the given models, YuNet and OpenCV's cascade see the same pictures. In use, YuNet counts
faces from a score of 0.7, as edge-fer does, the cascade all that it finds, and a model those from
``--min-score``. What the figures are is in ``edge_fer/detect/evaluate.py``.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from edge_fer.detect.evaluate import evaluate, read_pictures
from edge_fer.detect.finders import Finder, haar_finder, tflite_finder, yunet_finder
from edge_fer.detect.pictures import LARGE, SMALL
from edge_fer.detect.table import tables_of
from edge_fer.files import write_atomic
from edge_fer.telemetry import load_1min, machine

SCHEMA = "edge-fer/detector/1"
YUNET_SCORE = 0.7


def named_numbers(text: str) -> dict[str, float]:
    """Reads ``NAME=NUMBER,...``."""
    return {name: float(value) for name, value in (part.split("=") for part in text.split(","))}


def say(text: str) -> None:
    """Prints progress."""
    sys.stderr.write(f"\r{text:60}")


def judged(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Judges every detector at both sizes."""
    teacher = Path(arguments.teacher)
    finders: dict[str, Finder] = {
        **{name: tflite_finder(Path(file)) for name, file in arguments.models.items()},
        "yunet": yunet_finder(teacher),
        "haar": haar_finder(),
    }
    rows = []
    for size in (SMALL, LARGE):
        pictures = read_pictures(arguments.data, teacher, size, arguments.scenes)
        for name, finder in finders.items():
            min_score = arguments.min_score[str(size[0])]
            min_score = {"yunet": YUNET_SCORE, "haar": 0.0}.get(name, min_score)
            figures = evaluate(
                finder, pictures, min_score, lambda done, name=name, size=size: say(
                    f"{name} {size[0]}x{size[1]} {done}"
                )
            )  # fmt: skip
            rows.append({"detector": name, "input": size, "min_score": min_score, **figures})
    return rows


def main() -> None:
    """Reads the command line, judges, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--min-score", default="160=0.5,320=0.5")
    parser.add_argument("--scenes", type=int, default=900)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    arguments.models = dict(text.split("=", 1) for text in arguments.model)
    arguments.min_score = named_numbers(arguments.min_score)
    document = {
        "schema": SCHEMA,
        "command": shlex.join(["python", "benchmarks/detector.py", *sys.argv[1:]]),
        "machine": machine(),
        "load": load_1min(),
        "results": judged(arguments),
    }
    for table in tables_of(document):
        lines = [table.heads, tuple("--" for _ in table.heads), *table.rows]
        sys.stdout.write(f"\n{table.title}\n\n")
        sys.stdout.writelines(f"| {' | '.join(line)} |\n" for line in lines)
    text = json.dumps(document, indent=1) + "\n"
    if arguments.out:
        write_atomic(arguments.out, lambda file: file.write_text(text))


if __name__ == "__main__":
    main()
