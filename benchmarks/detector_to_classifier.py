"""What the detector's box costs the classifier: faces of a dataset pasted into photos of rooms.

    python benchmarks/detector_to_classifier.py --data fer2013:fer2013.npz --scenes DETECT_FOLDER \
        --detectors edge-fer edge-fer:160 yunet:YUNET.onnx haar --bundles small base \
        [--out FILE.json]

Every face of the split is enlarged to 96 to 240 pixels, turned by ``--turn`` degrees to either side
by lot, and pasted, whole, into a photo without faces of the scenes' test part, 640x480; around it
its border pixels go on and fade out, so that there is no edge that only pasting makes. What a
detector finds there goes to the classifier as in ``edge-fer run``, cut out by the box and, upright,
by the eyes. Beside it the dataset's own crop of the same faces, and ``exact``: cut out where it was
pasted. Faces that a detector does not find are counted, and left out.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_fer.bundle import Bundle
from edge_fer.data.scenes import read_scenes
from edge_fer.data.scenes_warp import Move, moved_boxes, moved_image
from edge_fer.data.spec import read_faces
from edge_fer.evaluate.compare import comparison
from edge_fer.preprocess import FER2013_EYES, Box
from edge_fer.resources import find_resource
from edge_fer.runtime.classifier import Classifier, choose_file
from edge_fer.runtime.faces.detectors import Detection, Detector, open_detector
from edge_fer.runtime.faces.tracking import overlap
from edge_fer.runtime.recognizer import DEFAULT_BUNDLE
from edge_fer.telemetry import load_1min, machine

SCHEMA = "edge-fer/detector-to-classifier/2"
SIZE = (640, 480)
SMALLEST_PX, LARGEST_PX = 96, 240
#: Of a detection with what was pasted.
LEAST_OVERLAP = 0.25
BACKGROUNDS = ("scene15_indoor", "cs143_nonface_scenes")
#: Of the face's side, in which its border fades out.
FADING = 0.25


@dataclass(frozen=True)
class Scene:
    """A frame with one face: where it was pasted, and the classifier's logits of its own crop."""

    image: np.ndarray
    box: Box
    logits_K: np.ndarray
    label: int


def pasted(
    face_HW: np.ndarray, background_HW: np.ndarray, turn_deg: float, rng: np.random.Generator
) -> tuple[np.ndarray, Box]:
    """Returns a frame with a face in it, and the box around that."""
    frame = _filling(background_HW)
    height, width = face_HW.shape
    side_px = SMALLEST_PX * (LARGEST_PX / SMALLEST_PX) ** rng.random()
    turn = math.radians(turn_deg)
    reach_px = side_px * (math.cos(turn) + math.sin(turn)) / 2
    x, y = (float(rng.uniform(reach_px, side - reach_px)) for side in SIZE)
    move = Move(
        source=(width / 2, height / 2),
        target=(x, y),
        scale=side_px / width,
        angle_deg=turn_deg * float(rng.choice((-1, 1))),
    )
    white_HW = np.full_like(face_HW, 255)
    outside_HW = moved_image(white_HW, move, SIZE, border=cv2.BORDER_CONSTANT) < 128
    away_px_HW = cv2.distanceTransform(outside_HW.astype(np.uint8), cv2.DIST_L2, 5)
    share_HW = (1 - away_px_HW / (FADING * side_px)).clip(0)
    face_HW = moved_image(face_HW, move, SIZE, border=cv2.BORDER_REPLICATE)
    frame = (frame + share_HW * (face_HW - frame.astype(np.float32))).round().astype(np.uint8)
    (box,) = moved_boxes(np.array([[0.0, 0.0, width, height]]), move).tolist()
    return frame, tuple(box)


def _filling(background_HW: np.ndarray) -> np.ndarray:
    height, width = background_HW.shape
    move = Move(
        source=(width / 2, height / 2),
        target=(SIZE[0] / 2, SIZE[1] / 2),
        scale=max(SIZE[0] / width, SIZE[1] / height),
    )
    return moved_image(background_HW, move, SIZE, border=cv2.BORDER_REFLECT_101)


def scenes(options: argparse.Namespace, classifier: Classifier) -> tuple[list[Scene], str]:
    """Pastes every face; returns what came of it, and where the faces are from."""
    faces = read_faces(options.data, options.split)
    faces = faces.take(np.arange(len(faces))[:: options.every])
    photos = read_scenes(options.scenes, "test")
    backgrounds = [photo.image_HW for name in BACKGROUNDS for photo in photos[name]]
    rng = np.random.default_rng(0)
    made = []
    for image_HW, label in zip(faces.images_NHW, faces.labels_N.tolist(), strict=True):
        background_HW = backgrounds[int(rng.integers(len(backgrounds)))]
        frame, box = pasted(image_HW, background_HW, options.turn, rng)
        logits_K = classifier.logits(classifier.preprocessing.fit(image_HW))
        made.append(Scene(frame, box, logits_K, label))
    return made, faces.source


def find(detector: Detector | None, scene: Scene) -> Detection | None:
    """Returns the detection that fits the pasted face best, if one does; without a detector it."""
    if detector is None:
        return Detection(scene.box, 1.0)
    found = detector.detect(scene.image)
    best = max(found, key=lambda one: overlap(one.box, scene.box), default=None)
    return best if best is not None and overlap(best.box, scene.box) >= LEAST_OVERLAP else None


def rows(
    spec: str, all_scenes: Sequence[Scene], classifier: Classifier, crop_scales: Sequence[float]
) -> list[dict[str, Any]]:
    """Compares the classifier on what a detector finds with itself on the dataset's crops."""
    detector = None if spec == "exact" else open_detector(spec)
    pairs = [(scene, find(detector, scene)) for scene in all_scenes]
    found = [(scene, one) for scene, one in pairs if one is not None]
    head = {
        "detector": spec.partition(":")[0] if spec.endswith(".onnx") else spec,
        "found": len(found) / len(all_scenes),
        "box_over_crop": _quartiles([max(b.box[2:]) / max(a.box[2:]) for a, b in found]),
        "shift_x": _quartiles([_shift(a.box, b.box, 0) for a, b in found]),
        "shift_y": _quartiles([_shift(a.box, b.box, 1) for a, b in found]),
    }
    ways = [{"crop_scale": scale, "eyes": None} for scale in crop_scales]
    if found[0][1].eyes:
        ways.append({"crop_scale": crop_scales[-1], "eyes": FER2013_EYES})
    return [head | compared(found, classifier, way) for way in ways]


def compared(
    found: Sequence[tuple[Scene, Detection]], classifier: Classifier, way: dict[str, Any]
) -> dict[str, Any]:
    """Returns accuracies, and ``comparison`` of the dataset's crops with what was cut out."""
    preprocessing = replace(classifier.preprocessing, **way)
    labels_N = np.array([scene.label for scene, _ in found])
    crop_NK = np.stack([scene.logits_K for scene, _ in found])
    cut_NK = np.stack(
        [
            classifier.logits(preprocessing.face_pixels(scene.image, one.box, one.eyes))
            for scene, one in found
        ]
    )
    return {
        "cut_by": "eyes" if way["eyes"] else "box",
        "crop_scale": way["crop_scale"],
        "accuracy_of_crop": float((crop_NK.argmax(1) == labels_N).mean()),
        "accuracy": float((cut_NK.argmax(1) == labels_N).mean()),
        **comparison(crop_NK, cut_NK, labels_N),
    }


def _shift(pasted_box: Box, box: Box, axis: int) -> float:
    """Of the centre, in sides of what was pasted."""
    before, after = (one[axis] + one[axis + 2] / 2 for one in (pasted_box, box))
    return (after - before) / pasted_box[axis + 2]


def _quartiles(values: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in np.percentile(values, (25, 50, 75))]


def line(row: dict[str, Any]) -> str:
    """Returns a row as text."""
    low, high = (100 * end for end in row["accuracy_difference_ci95"])
    return (
        f"{row['model']:<24} {row['detector']:<10} "
        f"cut by {row['cut_by']:<4} x {row['crop_scale']:.2f}  "
        f"found {row['found']:6.1%}  "
        f"crop {row['accuracy_of_crop']:.2%}  cut {row['accuracy']:.2%}  "
        f"difference {100 * row['accuracy_difference']:+.2f} ({low:+.2f} .. {high:+.2f})  "
        f"box / crop {row['box_over_crop'][1]:.3f}  shift y {row['shift_y'][1]:+.3f}\n"
    )


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Returns everything as one document."""
    measured: list[dict[str, Any]] = []
    for name in options.bundles:
        bundle = Bundle.load(find_resource("bundle", name))
        classifier = Classifier(bundle, *choose_file(bundle, options.engine))
        all_scenes, source = scenes(options, classifier)
        crop_scales = options.crop_scales or [classifier.preprocessing.crop_scale]
        head = {"model": f"{bundle.manifest.name}/{classifier.model_file.file}"}
        for spec in ("exact", *options.detectors):
            for row in rows(spec, all_scenes, classifier, crop_scales):
                measured.append(head | row)
                sys.stdout.write(line(measured[-1]))
    return {
        "schema": SCHEMA,
        "command": " ".join(["python", *sys.argv]),
        "machine": machine() | {"load_before": load_1min()},
        "data": source,
        "every": options.every,
        "faces": len(all_scenes),
        "turn_deg": options.turn,
        "size_px": [SMALLEST_PX, LARGEST_PX],
        "backgrounds": f"{', '.join(BACKGROUNDS)}, test part, {SIZE[0]}x{SIZE[1]}",
        "rows": measured,
    }


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="NAME:PATH of labelled faces")
    parser.add_argument("--split", default="PrivateTest")
    parser.add_argument("--every", type=int, default=1, help="take each so-manieth face")
    parser.add_argument("--scenes", type=Path, required=True, help="folder of detect sets")
    parser.add_argument("--turn", type=float, default=0.0, help="degrees, 0 to 45")
    parser.add_argument("--detectors", nargs="+", default=["edge-fer"], help="as edge-fer run")
    parser.add_argument("--crop-scales", nargs="+", type=float, help="default: the bundle's")
    parser.add_argument("--bundles", nargs="+", default=[DEFAULT_BUNDLE], help="names or paths")
    parser.add_argument("--engine", default="litert")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    options = parser.parse_args()
    document = measure(options)
    if options.out is not None:
        options.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
