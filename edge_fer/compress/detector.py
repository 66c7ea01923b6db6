"""From a face detector's checkpoint to its bundle: TFLite alone, whose input can be resized.

Shape suffixes: N pictures of H x W pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge_fer.bundle import Bundle, Manifest, save_bundle
from edge_fer.compress.artifacts import (
    FLOAT,
    TOOLCHAINS,
    Artifact,
    load_artifact,
    require_audited,
)
from edge_fer.compress.calibrate import PHOTOS, with_full_range
from edge_fer.compress.document import DETECTOR_SCHEMA
from edge_fer.compress.manifest import manifest_of
from edge_fer.compress.quantize_tflite import StaticTflite
from edge_fer.compress.stages import Stages
from edge_fer.data.scenes import read_scenes
from edge_fer.errors import DataError, EdgeFerError
from edge_fer.export.tflite import export_tflite
from edge_fer.preprocess import Preprocessing
from edge_fer.runtime.classifier import input_of_pixel
from edge_fer.runtime.engines import Engine
from edge_fer.runtime.faces.bundle_detector import fit_picture
from edge_fer.runtime.faces.decode import LIMIT, STEP, Faces, decode_faces, overlaps
from edge_fer.runtime.sources.images import list_images, read_image
from edge_fer.train.checkpoint import Checkpoint

if TYPE_CHECKING:
    from edge_fer.compress.quantize import Request

SCENES = "detect"
TERMS = "photos, and faces of FER2013: for research; boxes and points as YuNet (MIT) draws them"
SAME_FACE = 0.5
#: Weakest face that counts on a device, in 320x240 pixels. There it leaves 4 false faces in the 67
#: faceless photos of the validation part, and loses none of every fourth portrait's (90).
MIN_SCORE = 0.55


def quantize_detector(request: "Request", checkpoint: Checkpoint, stages: Stages) -> dict[str, Any]:
    """Exports, quantizes, audits, compares and writes the bundle.

    Args:
        request: What to do; its recipe must be a static one.
        checkpoint: Of a face detector.
        stages: Times and announces.

    Returns:
        A document of schema ``edge-fer/quantize-detector/1``: ``bundle``, ``recipe``,
        ``calibration``, ``command``, ``rows`` (one per file, as ``agreement`` has them),
        ``gates`` (none) and ``stages_s``.

    Raises:
        EdgeFerError: Recipe, pictures or output cannot be used, or the quantized file is not
            all-integer.
    """
    _require_plain(request)
    source = {"data": str(request.calibration).partition(":")[0]}
    with stages.stage("read pictures"):
        pictures_NHW = calibration_pictures(
            str(request.calibration),
            checkpoint.preprocessing,
            images=request.recipe.images,
            seed=request.recipe.seed,
        )
    artifacts = _artifacts(request, checkpoint, pictures_NHW, stages)
    with stages.stage("audit and compare"):
        require_audited(artifacts, request.recipe)
        figures = _figures(artifacts, pictures_NHW, MIN_SCORE)
    with stages.stage("write the bundle"):
        kept = [a for a in artifacts if not (request.int8_only and a.precision == FLOAT)]
        manifest = _manifest(request, checkpoint, kept, figures, len(pictures_NHW))
        save_bundle(request.out, manifest, {one.name: one.content for one in kept})
        Bundle.load(request.out)
    return {
        "schema": DETECTOR_SCHEMA,
        "bundle": str(request.out),
        "recipe": {"name": request.recipe.name},
        "calibration": source | {"images": len(pictures_NHW)},
        "command": request.command,
        "rows": [_row(one, figures) for one in artifacts],
        "gates": [],
        "stages_s": dict(stages.seconds),
    }


def calibration_pictures(
    spec: str, preprocessing: Preprocessing, *, images: int, seed: int
) -> np.ndarray:
    """Draws whole pictures, fitted into the network's, the first with a black and a white pixel.

    Args:
        spec: ``photos:PATH`` (a photo, or a folder of them) or ``detect:PATH`` (scenes of the
            Training split).
        preprocessing: Of the network; its size.
        images: How many, at most.
        seed: Of the draw.

    Returns:
        uint8 ``[N, H, W]``.

    Raises:
        EdgeFerError: The pictures cannot be read.
    """
    name, _, path = spec.partition(":")
    if name not in {PHOTOS, SCENES} or not path:
        raise DataError(f"{spec!r}: a detector is calibrated on detect:PATH or photos:PATH")
    read = _photos if name == PHOTOS else _scenes
    size = preprocessing.height_px, preprocessing.width_px
    grays = read(Path(path).expanduser(), images, seed)
    return with_full_range(np.stack([fit_picture(gray, size)[0] for gray in grays]))


def agreement(
    reference: Sequence[Faces], found: Sequence[Faces], *, same: float = SAME_FACE
) -> dict[str, Any]:
    """Compares the faces that two files find in the same pictures.

    Args:
        reference: By picture.
        found: By picture.
        same: Least intersection over union of two boxes around the same face.

    Returns:
        ``n`` pictures, ``faces`` of the reference, ``found``: the share of them that was found too,
        ``extra`` faces a picture, and of those found the mean ``overlap`` and the largest
        ``score_error``. Without any, the last three are None.
    """
    pairs = [pair for a, b in zip(reference, found, strict=True) for pair in _pairs(a, b)]
    close = [(overlap, error) for overlap, error in pairs if overlap >= same]
    faces = len(pairs)
    extra = sum(len(one.scores_N) for one in found) - len(close)
    return {
        "n": len(reference),
        "faces": faces,
        "found": len(close) / faces if faces else None,
        "extra": extra / len(reference),
        "overlap": float(np.mean([overlap for overlap, _ in close])) if close else None,
        "score_error": max(error for _, error in close) if close else None,
    }


def find_faces(engine: Engine, pictures_NHW: np.ndarray, min_score: float) -> list[Faces]:
    """Returns the faces that a file finds, by picture of its own size."""
    table = input_of_pixel(engine.input)
    step = engine.output.scale
    return [
        decode_faces(
            engine(table[picture].reshape(engine.input.shape))[0], step=step, min_score=min_score
        )
        for picture in pictures_NHW
    ]


def _pairs(reference: Faces, found: Faces) -> list[tuple[float, float]]:
    """For each face of the reference the largest overlap, and the difference in score."""
    pairs = []
    for box_4, score in zip(reference.boxes_N4, reference.scores_N, strict=True):
        shares_N = overlaps(box_4, found.boxes_N4)
        best = int(shares_N.argmax()) if len(shares_N) else -1
        error = abs(float(score - found.scores_N[best])) if len(shares_N) else 1.0
        pairs.append((float(shares_N[best]) if len(shares_N) else 0.0, error))
    return pairs


def _artifacts(
    request: "Request", checkpoint: Checkpoint, pictures_NHW: np.ndarray, stages: Stages
) -> list[Artifact]:
    tflite = TOOLCHAINS[0]
    shape = tuple(checkpoint.metadata["input_nchw"])
    with stages.stage("export TFLite"):
        content = export_tflite(checkpoint.network, shape, gives_map=True)
    with stages.stage("quantize TFLite"):
        ends = (-LIMIT, LIMIT - STEP)
        quantizer = StaticTflite(content, pictures_NHW, request.recipe.method, output_range=ends)
        quantized = quantizer.quantize()
    return [
        load_artifact(tflite, FLOAT, content),
        load_artifact(tflite, request.recipe.precision, quantized),
    ]


def _figures(
    artifacts: Sequence[Artifact], pictures_NHW: np.ndarray, min_score: float
) -> dict[str, dict[str, Any]]:
    """How each file agrees with the float one, by name."""
    found = {one.name: find_faces(one.engine, pictures_NHW, min_score) for one in artifacts}
    reference = found[artifacts[0].name]
    return {name: agreement(reference, faces) for name, faces in found.items()}


def _manifest(
    request: "Request",
    checkpoint: Checkpoint,
    kept: Sequence[Artifact],
    figures: Mapping[str, Mapping[str, Any]],
    pictures: int,
) -> Manifest:
    recipe = request.recipe
    manifest = manifest_of(
        request.out.name,
        checkpoint,
        request.checkpoint,
        kept,
        figures,
        calibration={
            "data": str(request.calibration).partition(":")[0],
            "images": pictures,
            "seed": recipe.seed,
            "recipe": recipe.name,
            "method": recipe.method.name,
        },
        command=request.command,
    )
    licences = {**manifest.licences, "data": TERMS}
    return replace(manifest, task="detect", min_score=MIN_SCORE, licences=licences)


def _row(artifact: Artifact, figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "file": artifact.name,
        "format": artifact.format,
        "precision": artifact.precision,
        "size_mb": len(artifact.content) / 1e6,
        "operators": len(artifact.summary.operators),
        **figures[artifact.name],
    }


def _require_plain(request: "Request") -> None:
    recipe = request.recipe
    if recipe.mode != "static" or recipe.bias_correction or request.calibration is None:
        raise EdgeFerError(f"recipe {recipe.name!r}: a detector takes static_wi8_ai8")
    limits = request.limits
    if request.evaluation or any((limits.drop_pt, limits.class_drop_pt, limits.flips_percent)):
        raise EdgeFerError(
            "--evaluate and the gates compare expressions; a detector has none (its figures: "
            "benchmarks/detector.py)"
        )


def _photos(path: Path, count: int, seed: int) -> list[np.ndarray]:
    files = list_images(path)
    pictures = (read_image(files[row]) for row in _drawn(len(files), count, seed))
    return [cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) for picture in pictures]


def _scenes(path: Path, count: int, seed: int) -> list[np.ndarray]:
    photos = [photo for photos in read_scenes(path, "train").values() for photo in photos]
    return [photos[row].image_HW for row in _drawn(len(photos), count, seed)]


def _drawn(of: int, count: int, seed: int) -> list[int]:
    return sorted(np.random.default_rng(seed).permutation(of)[:count].tolist())
