"""Results drawn into their frames."""

import cv2
import numpy as np

from edge_fer.runtime.result import UNSURE, Face, Result

Colour = tuple[int, int, int]

SURE_BGR: Colour = (60, 220, 60)
UNSURE_BGR: Colour = (150, 190, 190)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotate(result: Result) -> np.ndarray:
    """Returns a copy of the frame with boxes and labels drawn in, uint8 BGR ``[H, W, 3]``.

    Boxes that were followed and not detected have a thinner line; faces whose expression is unsure
    another colour.
    """
    image = result.frame.image
    picture = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    scale = max(0.4, picture.shape[0] / 800)
    for face in result.faces:
        _draw(picture, face, scale)
    return picture


def _draw(picture: np.ndarray, face: Face, scale: float) -> None:
    colour = UNSURE_BGR if face.label == UNSURE else SURE_BGR
    width = max(1, round(2 * scale))
    x, y, w, h = (round(value) for value in face.box)
    line = max(1, width // 2) if face.tracked else max(2, width)
    cv2.rectangle(picture, (x, y), (x + w, y + h), colour, line)
    _write(picture, f"{face.label} {face.score:.0%}", (x, y), scale, width, colour)


def _write(
    picture: np.ndarray,
    text: str,
    corner: tuple[int, int],
    scale: float,
    width: int,
    colour: Colour,
) -> None:
    """Writes dark text on a filled bar that stands on ``corner``, inside the picture."""
    (text_w, text_h), below = cv2.getTextSize(text, _FONT, scale, width)
    x, y = corner[0], max(corner[1], text_h + below)
    cv2.rectangle(picture, (x, y - text_h - below), (x + text_w, y), colour, cv2.FILLED)
    origin = (x, y - below // 2)
    cv2.putText(picture, text, origin, _FONT, scale, (0, 0, 0), width, cv2.LINE_AA)
