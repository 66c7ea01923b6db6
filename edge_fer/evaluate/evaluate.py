"""Accuracy of a checkpoint or of every artifact of a bundle, on one split of a dataset."""

from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bundle import Bundle
from edge_fer.data.faces import Faces, repeats_in, require_labels
from edge_fer.data.spec import read_faces
from edge_fer.errors import DataError
from edge_fer.evaluate.metrics import report
from edge_fer.evaluate.predict import engine_logits, torch_logits
from edge_fer.runtime.classifier import softmax
from edge_fer.runtime.engines import ENGINE_FORMATS, installed_engines, load_engine
from edge_fer.train.checkpoint import load_checkpoint

SCHEMA = "edge-fer/evaluate/1"


def evaluate(model: Path, spec: str, split: str) -> dict[str, Any]:
    """Evaluates ``*.safetensors`` through torch, a bundle through every engine installed.

    Returns:
        A document of schema ``edge-fer/evaluate/1``.

    Raises:
        EdgeFerError: Model or data cannot be used, or their labels differ.
    """
    faces, leaked_N = read_labelled(spec, split)
    results = (
        _evaluate_checkpoint(model, faces, leaked_N)
        if model.suffix == ".safetensors"
        else _evaluate_bundle(Bundle.load(model), faces, leaked_N)
    )
    name = spec.partition(":")[0]
    return {"schema": SCHEMA, "data": name, "split": split, "results": results}


def read_labelled(spec: str, split: str) -> tuple[Faces, np.ndarray]:
    """Reads a labelled split, and marks its faces that also occur in Training."""
    faces = read_faces(spec, split)
    require_labels(faces)
    return faces, repeats_in(read_faces(spec, "Training"), faces)


def require_same_labels(labels: tuple[str, ...], faces: Faces) -> None:
    """Raises ``DataError`` unless model and data have the same vocabulary."""
    if labels != faces.label_names:
        raise DataError(
            f"the model's labels ({', '.join(labels)}) are not those of {faces.source} "
            f"({', '.join(faces.label_names)})"
        )


def _evaluate_checkpoint(path: Path, faces: Faces, leaked_N: np.ndarray) -> list[dict[str, Any]]:
    checkpoint = load_checkpoint(path)
    require_same_labels(checkpoint.labels, faces)
    probabilities_NK = softmax(
        torch_logits(checkpoint.network, faces.images_NHW, checkpoint.preprocessing)
    )
    head = {"file": path.name, "format": "safetensors", "precision": "fp32", "engine": "torch"}
    return [head | report(probabilities_NK, faces.labels_N, faces.label_names, leaked_N)]


def _evaluate_bundle(bundle: Bundle, faces: Faces, leaked_N: np.ndarray) -> list[dict[str, Any]]:
    require_same_labels(bundle.manifest.labels, faces)
    results = []
    for model_file in bundle.manifest.files:
        for name in installed_engines():
            if ENGINE_FORMATS[name] == model_file.format:
                content = bundle.contents[model_file.file]
                engine = load_engine(name, content, model_file.file)
                logits_NK = engine_logits(engine, faces.images_NHW, bundle.manifest.preprocessing)
                probabilities_NK = softmax(logits_NK / bundle.manifest.temperature)
                head = {
                    "file": model_file.file,
                    "format": model_file.format,
                    "precision": model_file.precision,
                    "engine": name,
                }
                figures = report(probabilities_NK, faces.labels_N, faces.label_names, leaked_N)
                results.append(head | figures)
    return results
