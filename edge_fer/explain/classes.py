"""Grad-CAM of every class of a dataset: some faces, and the mean over many (PAtt-Lite, Figs. 6-7).

Every face is explained for its true class, so that a row shows what speaks for that class.

Shape suffixes: N faces, H height, W width (pixels).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.explain.figures import Cell, grid, overlay, pair, rgb
from edge_fer.explain.gradcam import Explainer
from edge_fer.explain.inputs import draw_per_class, inputs_of
from edge_fer.explain.photos import share_document, share_note
from edge_fer.preprocess import Preprocessing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class ClassReading:
    """What a network makes of faces of one class.

    Attributes:
        label: The class.
        n: Number of faces.
        correct: How many of them the network gets right.
        without_heat: For how many nothing speaks for their class.
        face_HW: Their mean, uint8 ``[H, W]`` or ``[H, W, 3]``.
        heat_HW: Their mean heat, by map, each face's heat scaled to 0..1 first.
        examples: Some of them, each beside its heat, with what they were taken for.
    """

    label: str
    n: int
    correct: int
    without_heat: int
    face_HW: np.ndarray
    heat_HW: Mapping[str, np.ndarray]
    examples: tuple[Cell, ...]


def read_classes(
    explainer: Explainer,
    faces: Faces,
    preprocessing: Preprocessing,
    *,
    per_class: int,
    at_most: int,
    seed: int,
) -> list[ClassReading]:
    """Explains faces of every class that occurs.

    Args:
        explainer: Of the network.
        faces: Labelled, in the network's vocabulary.
        preprocessing: Of the network.
        per_class: Examples of each class.
        at_most: Faces in all, at least one per class and no fewer than the examples.
        seed: Of the lot by which faces are drawn.
    """
    classes = len(faces.label_names)
    count = max(per_class, at_most // classes, 1)
    drawn = draw_per_class(faces.labels_N, classes, count, seed)
    return [
        _read_class(explainer, faces.take(rows), preprocessing, per_class)
        for rows in drawn
        if len(rows)
    ]


def _read_class(
    explainer: Explainer, faces: Faces, preprocessing: Preprocessing, examples: int
) -> ClassReading:
    inputs = inputs_of(faces, preprocessing)
    x_NCHW = inputs.tensor()
    heat_NHW = explainer.heat_maps(x_NCHW, faces.labels_N)
    probabilities_NK = explainer.outputs(x_NCHW)[""]
    whole_NHW = heat_NHW[explainer.map_names[-1]]
    return ClassReading(
        label=faces.label_names[faces.labels_N[0]],
        n=len(faces),
        correct=int((probabilities_NK.argmax(1) == faces.labels_N).sum()),
        without_heat=int((whole_NHW.max(axis=(1, 2)) == 0).sum()),
        face_HW=inputs.pixels.mean(axis=0).round().astype(np.uint8),
        heat_HW={name: of_NHW.mean(axis=0) for name, of_NHW in heat_NHW.items()},
        examples=tuple(
            _example(inputs.pixels[row], whole_NHW[row], probabilities_NK[row], faces, row)
            for row in range(min(examples, len(faces)))
        ),
    )


def _example(
    pixels: np.ndarray, heat_HW: np.ndarray, probabilities_K: np.ndarray, faces: Faces, row: int
) -> Cell:
    guess = int(probabilities_K.argmax())
    mark = "✓" if guess == faces.labels_N[row] else "✗"
    return Cell(
        pixels=pair(rgb(pixels), overlay(pixels, heat_HW)),
        note=f"{mark} {faces.label_names[guess]} {probabilities_K[guess]:.2f}",
    )


def examples_page(readings: Sequence[ClassReading], title: str) -> "Figure":
    """Draws a row per class: faces beside their heat."""
    return grid([of.examples for of in readings], title, [of.label for of in readings])


def mean_page(readings: Sequence[ClassReading], title: str) -> "Figure":
    """Draws each class's mean face and mean heat; for an ensemble a row per class."""
    if len(readings[0].heat_HW) == 1:
        faces = [Cell(pixels=rgb(of.face_HW), title=f"{of.label}\n{of.n} faces") for of in readings]
        return grid([faces, [_mean_cell(of, "", "") for of in readings]], title)
    rows = [
        [
            Cell(pixels=rgb(of.face_HW), title="" if row else "mean face", note=f"{of.n} faces"),
            *(_mean_cell(of, name, "" if row else name) for name in of.heat_HW),
        ]
        for row, of in enumerate(readings)
    ]
    return grid(rows, title, [of.label for of in readings])


def _mean_cell(of: ClassReading, name: str, title: str) -> Cell:
    heat_HW = of.heat_HW[name]
    shown_HW = heat_HW / max(float(heat_HW.max()), np.finfo(np.float32).tiny)
    return Cell(pixels=overlay(of.face_HW, shown_HW), title=title, note=share_note(heat_HW))


def class_document(of: ClassReading) -> dict[str, Any]:
    """Returns the figures of one class, as plain values."""
    return {
        "class": of.label,
        "n": of.n,
        "correct": of.correct,
        "without_heat": of.without_heat,
        "heat": [
            {"network": name or None, **share_document(of.heat_HW[name])} for name in of.heat_HW
        ],
    }
