"""The sections of the document: each makes its pictures and returns what they show.

Shape suffixes: N faces, C channels, H height, W width (pixels), F features, 2 is (x, y).
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.data.landmarks import find_landmarks, landmarks_for
from edge_fer.explain import figures
from edge_fer.explain.classes import class_document, examples_page, mean_page, read_classes
from edge_fer.explain.features import features_of, separation, tsne, write_csv
from edge_fer.explain.inputs import Inputs, inputs_of
from edge_fer.explain.landmarks import LandmarkRun, distance, predict_landmarks
from edge_fer.explain.photos import page, read_face, reading_document
from edge_fer.explain.request import Task, input_nchw_of
from edge_fer.files import write_atomic

LANDMARK_FACES_SHOWN = 6


def explain_photos(task: Task, files: Sequence[Path]) -> list[dict[str, Any]]:
    """Draws a Grad-CAM page per picture."""
    documents = []
    for index, (photo, file) in enumerate(zip(task.photos, files, strict=True)):
        face = task.photo_inputs.one(index)
        reading = read_face(task.explainer, face, task.checkpoint.labels, task.request.classes)
        guess = f"{reading.labels[reading.predicted]} {reading.probability:.2f}"
        figures.save(file, page(reading, task.title(f"{photo.name}: {guess}")))
        document = reading_document(reading)
        documents.append({"file": str(photo), "figure": str(file), **document})
    return documents


def explain_classes(task: Task, files: Sequence[Path]) -> dict[str, Any]:
    """Draws faces of every class with their heat, and each class's mean heat."""
    request, faces = task.request, task.faces
    readings = read_classes(
        task.explainer,
        faces,
        task.checkpoint.preprocessing,
        per_class=request.sheet_faces,
        at_most=request.faces,
        seed=request.seed,
    )
    shown = task.title(f"{faces.source}: faces, and what speaks for the class named at the left")
    figures.save(files[0], examples_page(readings, shown))
    mean = task.title(f"{faces.source}: mean face, and mean of what speaks for its class")
    figures.save(files[1], mean_page(readings, mean))
    rows = [class_document(reading) for reading in readings]
    return {"source": faces.source, "figures": [str(file) for file in files], "rows": rows}


def explain_features(task: Task, files: Sequence[Path]) -> dict[str, Any]:
    """Draws the features' t-SNE, and writes its points and the features as tables."""
    faces, labels = task.some_faces(), task.checkpoint.labels
    inputs = inputs_of(faces, task.checkpoint.preprocessing)
    features_NF = features_of(
        task.explainer.network, inputs.batches(), input_nchw_of(task.checkpoint), len(labels)
    )
    quality = separation(features_NF, faces.labels_N)
    points_N2 = tsne(features_NF, task.request.seed)
    n, width = features_NF.shape
    title = (
        f"t-SNE of the {width} features of {task.checkpoint.metadata['model']}\n"
        f"{n:,} faces of {faces.source}; in feature space: {quality.neighbours}-NN accuracy "
        f"{quality.knn_accuracy:.1%}, silhouette {quality.silhouette:.2f}"
    )
    figures.save(files[0], figures.scatter(points_N2, faces.labels_N, labels, title))
    _write_rows(files[1], faces, points_N2, ("x", "y"))
    _write_rows(files[2], faces, features_NF, [f"f{index}" for index in range(width)])
    return {
        "source": faces.source,
        "n": n,
        "features": width,
        **asdict(quality),
        "files": [str(file) for file in files],
    }


def _write_rows(path: Path, faces: Faces, values_NF: np.ndarray, names: Sequence[str]) -> None:
    """Writes a line per face: its name, its class, its values."""
    face_names = faces.names or tuple(map(str, range(len(faces))))
    classes = [faces.label_names[label] for label in faces.labels_N]
    rows = [
        [name, label, *(f"{value:.6g}" for value in values)]
        for name, label, values in zip(face_names, classes, values_NF.tolist(), strict=True)
    ]
    write_atomic(path, lambda file: write_csv(file, ["face", "label", *names], rows))


def explain_landmarks(task: Task, run: LandmarkRun, files: Sequence[Path]) -> dict[str, Any]:
    """Draws landmarks before and after, and measures both against Dlib's."""
    inputs, labels_N682 = _faces_with_landmarks(task)
    predicted = {
        state: predict_landmarks(ensemble, run.heads, inputs.batches())
        for state, ensemble in (("before", run.before), ("after", run.after))
    }
    title = f"{inputs.source}: landmarks before and after learning expressions, heads kept"
    shown = list(inputs.pixels[:LANDMARK_FACES_SHOWN])
    figures.save(files[0], figures.landmark_rows(shown, predicted, labels_N682, title))
    rows = [
        {
            "part": part,
            "points": len(run.after.landmarks[part]),
            **{
                state: asdict(distance(of[part], labels_N682, run.after.landmarks[part]))
                for state, of in predicted.items()
            },
        }
        for part in predicted["after"]
    ]
    return {"source": inputs.source, "n": len(inputs), "files": [str(files[0])], "parts": rows}


def _faces_with_landmarks(task: Task) -> tuple[Inputs, np.ndarray]:
    """Those of the dataset if there is one, else of the pictures, and their 68 labels."""
    request = task.request
    if not request.data:
        pixels = task.photo_inputs.pixels
        return task.photo_inputs, find_landmarks(pixels if pixels.ndim == 3 else pixels[..., ::-1])
    faces = task.some_faces()
    cache = request.landmark_labels
    labels_N682 = landmarks_for(faces, cache) if cache else find_landmarks(faces.images_NHW)
    return inputs_of(faces, task.checkpoint.preprocessing), labels_N682
