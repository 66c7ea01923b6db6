"""One page per face: what speaks for the class that the network chose, and for others.

The rows of part ensemble's Fig. 11, and the pairs of PAtt-Lite's Fig. 7.

Shape suffixes: N faces, R classes that are explained, H height, W width (pixels), K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fer.errors import ModelError
from edge_fer.explain.figures import Cell, grid, overlay, rgb
from edge_fer.explain.gradcam import Explainer, upper_share
from edge_fer.explain.inputs import Inputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a network makes of one face.

    Attributes:
        pixels: uint8 ``[H, W]`` or ``[H, W, 3]``: the face as the network sees it.
        labels: The network's classes.
        probabilities_K: Of the whole network, by part (``""``: the whole).
        true: Its class, -1 if unknown.
        classes_R: Which classes are explained.
        heat_RHW: By map, 0..1.
    """

    pixels: np.ndarray
    labels: tuple[str, ...]
    probabilities_K: Mapping[str, np.ndarray]
    true: int
    classes_R: tuple[int, ...]
    heat_RHW: Mapping[str, np.ndarray]

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.probabilities_K[""].argmax())

    @property
    def probability(self) -> float:
        """Of the predicted class."""
        return float(self.probabilities_K[""].max())


def read_face(explainer: Explainer, face: Inputs, labels: tuple[str, ...], classes: str) -> Reading:
    """Explains one face.

    Args:
        explainer: Of the network.
        face: One face.
        labels: The network's.
        classes: As ``chosen_classes`` takes it.

    Raises:
        ModelError: A class that the network does not have.
    """
    x_1CHW, true = face.tensor(), int(face.labels_N[0])
    probabilities = {name: of_1K[0] for name, of_1K in explainer.outputs(x_1CHW).items()}
    chosen = chosen_classes(classes, labels, int(probabilities[""].argmax()), true)
    x_RCHW = x_1CHW.expand(len(chosen), -1, -1, -1)
    return Reading(
        pixels=face.pixels[0],
        labels=labels,
        probabilities_K=probabilities,
        true=true,
        classes_R=chosen,
        heat_RHW=explainer.heat_maps(x_RCHW, np.array(chosen)),
    )


def chosen_classes(
    classes: str, labels: tuple[str, ...], predicted: int, true: int
) -> tuple[int, ...]:
    """Returns which classes to explain, each once.

    Args:
        classes: ``predicted`` (and the true one where it is known), ``all``, or names like
            ``happy,sad``.
        labels: The network's.
        predicted: Its choice.
        true: The face's class, -1 if unknown.

    Raises:
        ModelError: A class that the network does not have.
    """
    first = [predicted] if true < 0 else [predicted, true]
    if classes in ("predicted", "all"):
        rest = range(len(labels)) if classes == "all" else ()
        return tuple(dict.fromkeys([*first, *rest]))
    names = [name.strip() for name in classes.split(",")]
    unknown = sorted(set(names) - set(labels))
    if unknown:
        raise ModelError(f"no class {', '.join(unknown)}; the model has {', '.join(labels)}")
    return tuple(dict.fromkeys(labels.index(name) for name in names))


def page(reading: Reading, title: str) -> "Figure":
    """Draws a face beside its heat: one row, or for an ensemble a row per class."""
    face = rgb(reading.pixels)
    if len(reading.heat_RHW) == 1:
        (name,) = reading.heat_RHW
        cells = [_cell(reading, place, name, _title(reading, k)) for place, k in _places(reading)]
        return grid([[Cell(pixels=face, title="input"), *cells]], title)
    rows = [
        [
            Cell(pixels=face, title="" if place else "input"),
            *(_cell(reading, place, name, "" if place else name) for name in reading.heat_RHW),
        ]
        for place, _ in _places(reading)
    ]
    return grid(rows, title, [_title(reading, k) for _, k in _places(reading)])


def reading_document(reading: Reading) -> dict[str, Any]:
    """Returns the figures of one face, as plain values."""
    return {
        "predicted": reading.labels[reading.predicted],
        "probability": reading.probability,
        "label": reading.labels[reading.true] if reading.true >= 0 else None,
        "heat": [
            {
                "class": reading.labels[k],
                "network": name or None,
                "probability": _probability(reading, name, k),
                **share_document(reading.heat_RHW[name][place]),
            }
            for place, k in _places(reading)
            for name in reading.heat_RHW
        ],
    }


def share_document(heat_HW: np.ndarray) -> dict[str, float | None]:
    """Returns which share of the heat is in each half of the face; None without heat."""
    upper = upper_share(heat_HW)
    return {"upper": upper, "lower": None if upper is None else 1 - upper}


def share_note(heat_HW: np.ndarray) -> str:
    """Says the same in words."""
    upper = upper_share(heat_HW)
    return "no heat" if upper is None else f"upper {upper:.0%}, lower {1 - upper:.0%}"


def _places(reading: Reading) -> list[tuple[int, int]]:
    return list(enumerate(reading.classes_R))


def _probability(reading: Reading, name: str, k: int) -> float | None:
    """A union of maps has no probability of its own."""
    return float(reading.probabilities_K[name][k]) if name in reading.probabilities_K else None


def _cell(reading: Reading, place: int, name: str, title: str) -> Cell:
    heat_HW = reading.heat_RHW[name][place]
    probability = _probability(reading, name, reading.classes_R[place])
    chance = "" if probability is None else f"probability {probability:.2f}\n"
    return Cell(
        pixels=overlay(reading.pixels, heat_HW), title=title, note=chance + share_note(heat_HW)
    )


def _title(reading: Reading, k: int) -> str:
    roles = [
        role for role, of in (("predicted", reading.predicted), ("true", reading.true)) if k == of
    ]
    return reading.labels[k] + (f"\n({' and '.join(roles)})" if roles else "")
