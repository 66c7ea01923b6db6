"""Times face detectors side by side: a gray picture in, faces out, one thread.

    python benchmarks/detector_latency.py --photo photo.jpg --detectors edge-fer yunet:YUNET.onnx \
        --widths 160 320 [--out FILE.json]

The photo is cut to 4:3 and shrunk before, so that every detector gets pictures of its own size;
converting, decoding and suppressing count. Detectors and sizes take turns, in an order drawn anew
for each round. CPU time is that of the process.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_fer.bench.measure import Samples, measure
from edge_fer.runtime.faces.detectors import Detector, open_detector
from edge_fer.runtime.sources.images import read_image
from edge_fer.telemetry import load_1min, machine

SCHEMA = "edge-fer/detector-latency/1"


def picture(photo: np.ndarray, width_px: int) -> np.ndarray:
    """Cuts the upper 4:3 of a photo and shrinks it to a gray picture."""
    height, width = photo.shape[:2]
    cut = photo[: min(height, width * 3 // 4)]
    gray = cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY)
    return cv2.resize(gray, (width_px, width_px * 3 // 4), interpolation=cv2.INTER_AREA)


def row(spec: str, width_px: int, samples: Samples) -> dict[str, Any]:
    """Sums up one detector at one size."""
    return {
        "detector": "yunet" if spec.endswith(".onnx") else spec,
        "picture": [width_px, width_px * 3 // 4],
        "p50_ms": samples.percentile_ms(50),
        "p90_ms": samples.percentile_ms(90),
        "cpu_ms": float(np.median(samples.cpu_ms)),
        "cpu_quartiles_ms": np.percentile(samples.cpu_ms, (25, 75)).tolist(),
        "load": samples.load,
    }


def _search(detector: Detector, image: np.ndarray) -> Callable[[], object]:
    return lambda: detector.detect(image)


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--detectors", nargs="+", default=["edge-fer"], help="as edge-fer run")
    parser.add_argument("--widths", nargs="+", type=int, default=[160, 320])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    photo = read_image(options.photo)
    cases = [(spec, width_px) for spec in options.detectors for width_px in options.widths]
    searches = [
        _search(open_detector(spec, width_px=0), picture(photo, width_px))
        for spec, width_px in cases
    ]
    load = load_1min()
    samples = measure(searches, rounds=options.rounds, inferences=10)
    rows = [row(*case, own) for case, own in zip(cases, samples, strict=True)]
    for one in rows:
        size = "x".join(map(str, one["picture"]))
        timed = f"{one['p50_ms']:.2f} ms, CPU {one['cpu_ms']:.2f} ms"
        sys.stdout.write(f"{one['detector']:<12} {size:>8}  {timed}\n")
    if options.out is not None:
        document = {
            "schema": SCHEMA,
            "command": " ".join(["python", *sys.argv]),
            "machine": machine() | {"load_before": load},
            "rows": rows,
        }
        options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
