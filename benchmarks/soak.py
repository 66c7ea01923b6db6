"""A very long run of the camera loop: does memory grow, does it slow down?

    python benchmarks/soak.py --frames 1000000 --photo face.png --out soak.json

A made-up camera moves a photo of a face over a background that changes; every so many frames it
goes away, comes back in another size, or the picture is black. Everything behind the camera is what
`edge-fer run --csv --json` does, with a CSV file that is emptied now and then to spare the disk.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_fer.runtime import loop
from edge_fer.runtime.frame import Closing, Frame
from edge_fer.runtime.service.health import rss_mb
from edge_fer.runtime.settings import Settings
from edge_fer.telemetry import load_1min, machine

HEIGHT, WIDTH, FPS = 480, 640, 30.0
TENTHS = 10


class Generated(Closing):
    """Gives frames, and keeps what each cost: wall and CPU time from one frame to the next."""

    fps, single, live = FPS, False, True

    def __init__(self, frames: int, photo: np.ndarray, rows: Path) -> None:
        self._frames, self._rows = frames, rows
        self._faces = [cv2.resize(photo, (side, side)) for side in (240, 300)]
        noise = np.random.default_rng(0).integers(60, 120, (4, HEIGHT, WIDTH, 3), np.uint8)
        self._backgrounds = [cv2.GaussianBlur(one, (0, 0), 5) for one in noise]
        # Written to now, so that filling them does not look like a leak.
        self.wall_ms = np.full(frames, np.nan, np.float32)
        self.cpu_ms = np.full(frames, np.nan, np.float32)
        self.rss_mb = np.full(frames // 1000 + 1, np.nan, np.float32)

    def __iter__(self) -> Iterator[Frame]:
        picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        for index in range(self._frames):
            self._draw(picture, index)
            if index % 1000 == 0:
                self.rss_mb[index // 1000] = rss_mb() or np.nan
                os.truncate(self._rows, 0)
            if index % 50_000 == 0:
                sys.stderr.write(f"{index:,} frames, {self.rss_mb[index // 1000]:.1f} MB\n")
            wall_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
            yield Frame(index, index / FPS, picture, 0.0)
            self.wall_ms[index] = (time.perf_counter_ns() - wall_ns) / 1e6
            self.cpu_ms[index] = (time.thread_time_ns() - cpu_ns) / 1e6

    def close(self) -> None:
        """Nothing is open."""

    def _draw(self, picture: np.ndarray, index: int) -> None:
        scene = index // 900
        np.copyto(picture, self._backgrounds[scene % 4])
        if scene % 8 == 7:
            picture[:] = 0
        if scene % 3 == 2:
            return
        face = self._faces[scene % 2]
        side = face.shape[0]
        x = int((WIDTH - side) * (0.5 + 0.4 * np.sin(index / 97)))
        y = int((HEIGHT - side) * (0.5 + 0.4 * np.cos(index / 131)))
        picture[y : y + side, x : x + side] = face


def measure(frames: int, photo: Path, detector: str) -> dict[str, Any]:
    """Runs the loop and returns a document of schema ``edge-fer/soak/1``."""
    image = cv2.imread(str(photo))
    if image is None:
        raise SystemExit(f"{photo}: not a readable picture")
    started_s, load_before = time.monotonic(), load_1min()
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.csv"
        source = Generated(frames, image, rows)
        loop.open_source = lambda *_, **__: source  # type: ignore[assignment]
        options = loop.RunOptions(
            source="generated",
            bundle="small",
            settings=Settings(detector=detector),
            lines="json",
            csv=rows,
        )
        with Path(os.devnull).open("w") as nowhere:
            summary = loop.run(options, nowhere)
    return {
        "schema": "edge-fer/soak/1",
        "command": " ".join(["python", *sys.argv]),
        "machine": machine() | {"load_before": load_before},
        "frames": frames,
        "with_face": summary.with_face,
        "minutes": round((time.monotonic() - started_s) / 60, 2),
        "steadiness": summary.steadiness.to_dict() | {"by_face": []},
        "tenths": [_tenth(source, frames, number) for number in range(TENTHS)],
    }


def _tenth(source: Generated, frames: int, number: int) -> dict[str, float]:
    part = slice(number * frames // TENTHS, (number + 1) * frames // TENTHS)
    rss = source.rss_mb[part.start // 1000 : part.stop // 1000]
    figures = {"rss_mb_median": float(np.median(rss)), "rss_mb_last": float(rss[-1])}
    for name, values in (("wall", source.wall_ms[part]), ("cpu", source.cpu_ms[part])):
        for percent in (50, 99):
            figures[f"{name}_p{percent}_ms"] = round(float(np.percentile(values, percent)), 4)
    return figures


def main() -> None:
    """Parses, measures, prints a table and writes the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--photo", type=Path, required=True, help="of one face, square")
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    document = measure(arguments.frames, arguments.photo, arguments.detector)
    for number, figures in enumerate(document["tenths"], 1):
        line = "  ".join(f"{name} {value:.2f}" for name, value in figures.items())
        sys.stdout.write(f"{number:2d}/10  {line}\n")
    if arguments.out:
        arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
