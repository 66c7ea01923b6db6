"""Measures the device loop: latency by stage, steadiness of labels, and what following costs.

    python benchmarks/loop_latency.py --clips FOLDER [--out FILE.json]

FOLDER has video or GIF files with faces; one of them, the last by name unless ``--timed`` says
another, is fitted into 640x480, black bars around it, and played forth and back at 30 frames a
second for the latency: its frames are decoded before. YuNet is taken where ``EDGE_FER_YUNET`` says.

Wall-clock time counts whatever else the machine does; CPU time of the thread stands beside it.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_fer import Recognizer, Settings
from edge_fer.runtime.faces.tracking import overlap
from edge_fer.runtime.frame import Frame
from edge_fer.runtime.labels.smoothing import Smoother
from edge_fer.runtime.labels.steadiness import Steadiness
from edge_fer.runtime.result import STAGES, Face, Result
from edge_fer.runtime.sources.opening import open_source
from edge_fer.telemetry import load_1min, machine

SCHEMA = "edge-fer/loop-latency/1"
FPS = 30.0
WIDTH_PX, HEIGHT_PX = 640, 480
WARMUP = 30


def letterbox(image: np.ndarray) -> np.ndarray:
    """Fits a picture into 640x480 with black bars."""
    height, width = image.shape[:2]
    scale = min(WIDTH_PX / width, HEIGHT_PX / height)
    size = (round(width * scale), round(height * scale))
    left, top = (WIDTH_PX - size[0]) // 2, (HEIGHT_PX - size[1]) // 2
    canvas = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    canvas[top : top + size[1], left : left + size[0]] = cv2.resize(image, size)
    return canvas


def read_clip(file: Path) -> list[Frame]:
    """Decodes a whole clip."""
    with open_source(str(file)) as source:
        return [replace(frame, image=frame.image.copy(), name="") for frame in source]


def latency(recognizer: Recognizer, clip: Sequence[Frame], count: int) -> dict[str, Any]:
    """Times ``count`` frames, seen from outside and by stage."""
    images = [letterbox(frame.image) for frame in clip]
    images += images[::-1]
    wall_ms, cpu_ms, results = [], [], []
    recognizer.reset()
    for index in range(count + WARMUP):
        frame = Frame(index, index / FPS, images[index % len(images)], 0.0)
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        result = recognizer.read(frame)
        cpu_ms.append(1e3 * (time.thread_time() - cpu_s))
        wall_ms.append(1e3 * (time.perf_counter() - wall_s))
        results.append(result)
    return timings(wall_ms[WARMUP:], cpu_ms[WARMUP:], results[WARMUP:])


def timings(
    wall_ms: Sequence[float], cpu_ms: Sequence[float], results: Sequence[Result]
) -> dict[str, Any]:
    """Sums up the frames' times."""
    stages = {}
    for stage in STAGES[:-1]:
        ms = np.array([result.latency_ms[stage] for result in results])
        stages[stage] = {
            "p50_ms": float(np.median(ms)),
            "mean_ms": float(ms.mean()),
            "share": float(ms.sum() / sum(wall_ms)),
        }
    detected = [result.latency_ms["detect"] > 0 for result in results]
    return {
        "frames": len(results),
        "wall_ms": percentiles(wall_ms),
        "cpu_ms": percentiles(cpu_ms),
        "stages": stages,
        "overhead": 1 - sum(entry["share"] for entry in stages.values()),
        "detected": float(np.mean(detected)),
        "with_face": float(np.mean([bool(result.faces) for result in results])),
        "ids": len({face.id for result in results for face in result.faces}),
    }


def percentiles(ms: Sequence[float]) -> dict[str, float]:
    """Median, 90th and 99th percentile, and mean."""
    p50, p90, p99 = np.percentile(ms, [50, 90, 99]).tolist()
    return {"p50": p50, "p90": p90, "p99": p99, "mean": float(np.mean(ms))}


def steadiness(recognizer: Recognizer, clips: dict[str, list[Frame]]) -> dict[str, Any]:
    """Counts flips in every clip, and how often the answer is ``unsure``."""
    whole, by_clip = Steadiness(), {}
    unsure = []
    for name, clip in clips.items():
        single = Steadiness()
        recognizer.reset()
        for frame in clip:
            result = recognizer.read(frame)
            whole.add(result)
            single.add(result)
            unsure += [face.answer not in face.labels for face in result.faces]
        by_clip[name] = single.to_dict()
    total = whole.to_dict() | {"unsure": float(np.mean(unsure))}
    return {"all": total, "by_clip": by_clip}


def step_delay_ms(settings: Settings, peak: float, count: int = 7) -> float:
    """Returns how long a label takes to follow a true change, at 30 frames a second.

    Args:
        settings: Of the smoothing.
        peak: Probability of the shown expression, before and after; the others share the rest.
        count: Of labels.
    """
    labels = tuple(f"label {index}" for index in range(count))
    smoother = Smoother(settings, labels)
    steps = np.full((2, count), (1 - peak) / (count - 1), np.float32)
    steps[0, 0] = steps[1, 1] = peak
    for index in range(300):
        smoother.update(steps[0], index / FPS)
    for index in range(300, 600):
        if smoother.update(steps[1], index / FPS)[1] == labels[1]:
            return 1e3 * (index - 300) / FPS
    return float("inf")


def following(
    settings: Settings, bundle: str, clips: dict[str, list[Frame]]
) -> dict[str, dict[str, float]]:
    """Compares followed boxes with those of a detection in every frame.

    Beside it, the same for two detections in every frame whose picture is one pixel apart: what
    the detector's own unrest does.
    """
    every = replace(settings, detect_every=1, smooth_s=0.0)
    runs = {
        "every": boxes(every, bundle, clips),
        "followed": boxes(replace(settings, smooth_s=0.0), bundle, clips),
        "shifted": boxes(every, bundle, clips, shift_px=1),
    }
    return {name: agreement(runs["every"], runs[name]) for name in ("followed", "shifted")}


def boxes(
    settings: Settings, bundle: str, clips: dict[str, list[Frame]], shift_px: int = 0
) -> list[list[Face]]:
    """Returns the faces of every frame, boxes in the frame before it was shifted."""
    recognizer = Recognizer.load(bundle, **vars(settings))
    found = []
    for clip in clips.values():
        recognizer.reset()
        for frame in clip:
            image = np.roll(frame.image, (shift_px, shift_px), (0, 1))
            faces = recognizer.read(replace(frame, image=image)).faces
            found.append([_moved_back(face, shift_px) for face in faces])
    return found


def _moved_back(face: Face, shift_px: int) -> Face:
    x, y, w, h = face.box
    return replace(face, box=(x - shift_px, y - shift_px, w, h))


def agreement(reference: Sequence[list[Face]], other: Sequence[list[Face]]) -> dict[str, float]:
    """Compares faces that overlap: overlap, label and probabilities."""
    pairs = []
    for wanted, found in zip(reference, other, strict=True):
        for face in found:
            best = max(wanted, key=lambda one: overlap(one.box, face.box), default=None)
            if best is not None and overlap(best.box, face.box) > 0.2:
                pairs.append((best, face))
    change = [float(np.abs(a.probabilities - b.probabilities).max()) for a, b in pairs]
    return {
        "faces": len(pairs),
        "of": sum(len(faces) for faces in reference),
        "iou": float(np.mean([overlap(a.box, b.box) for a, b in pairs])),
        "same_label": float(np.mean([a.label == b.label for a, b in pairs])),
        "largest_change": float(np.mean(change)),
    }


def measure(clips: dict[str, list[Frame]], timed: str, bundle: str, frames: int) -> dict[str, Any]:
    """Returns everything as one document."""
    recognizer = Recognizer.load(bundle)
    model_file = recognizer.classifier.model_file
    return {
        "schema": SCHEMA,
        "command": " ".join(["python", *sys.argv]),
        "machine": machine() | {"load_before": load_1min()},
        "clip": f"{timed}, in {WIDTH_PX}x{HEIGHT_PX}",
        "detector": type(recognizer.detector).__name__,
        "model": model_file.file,
        "latency": latency(recognizer, clips[timed], frames),
        "steadiness": steadiness(recognizer, clips),
        "delay_ms": {
            f"to {peak}": step_delay_ms(recognizer.settings, peak) for peak in (0.9, 0.7, 0.5)
        },
        "following": following(recognizer.settings, bundle, clips),
    }


def table(document: dict[str, Any]) -> str:
    """Returns the document as text."""
    timed, steady = document["latency"], document["steadiness"]
    lines = [
        f"{document['clip']}; {document['detector']} + {document['model']}; "
        f"load {document['machine']['load_before']:.1f} before",
        f"{'stage':<12}{'p50 ms':>8}{'mean ms':>9}{'share':>8}",
    ]
    for stage, entry in timed["stages"].items():
        lines.append(
            f"{stage:<12}{entry['p50_ms']:8.3f}{entry['mean_ms']:9.3f}{entry['share']:8.1%}"
        )
    lines += [f"frame, {name}: {_listed(timed[name])}" for name in ("wall_ms", "cpu_ms")]
    lines.append(f"overhead {timed['overhead']:.2%}; detected in {timed['detected']:.1%} of frames")
    for name, figures in [*steady["by_clip"].items(), ("all", steady["all"])]:
        rates = [figures[key]["flips_per_minute"] for key in ("raw", "shown")]
        lines.append(f"flips a minute, {name}: raw {rates[0]}, shown {rates[1]}")
    lines.append(f"unsure in {steady['all']['unsure']:.1%} of faces")
    lines.append(f"delay of a change, ms: {_listed(document['delay_ms'])}")
    lines += [f"{name}: {_listed(figures)}" for name, figures in document["following"].items()]
    return "\n".join(lines) + "\n"


def _listed(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in figures.items())


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True, help="folder of GIF or video files")
    parser.add_argument("--timed", help="name of the clip for the latency, without its suffix")
    parser.add_argument("--bundle", default="small", help="name or path")
    parser.add_argument("--frames", type=int, default=1000, help="for the latency")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    files = [f for f in sorted(arguments.clips.iterdir()) if f.suffix in (".gif", ".mp4", ".avi")]
    clips = {file.stem: read_clip(file) for file in files}
    document = measure(clips, arguments.timed or max(clips), arguments.bundle, arguments.frames)
    sys.stdout.write(table(document))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
