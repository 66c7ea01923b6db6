"""What a face looks like, roughly: enough to tell the faces of a scene apart."""

import cv2
import numpy as np

from edge_fer.preprocess import Box

SIDE_PX = 16
_SAMPLES = 2 * SIDE_PX
_AROUND = 1.3
#: A portrait that is like no other.
NOBODY = np.zeros((SIDE_PX, SIDE_PX), np.uint8)


def portrait(gray: np.ndarray, box: Box) -> np.ndarray:
    """Shrinks a face and some of its surroundings.

    Args:
        gray: uint8 ``[h, w]``.
        box: Of the face in it; it may reach over the border, even be outside.

    Returns:
        uint8 ``[SIDE_PX, SIDE_PX]``, the border repeated.
    """
    x, y, w, h = box
    around = (max(w, 1.0) * _AROUND, max(h, 1.0) * _AROUND)
    left, top = x + w / 2 - around[0] / 2, y + h / 2 - around[1] / 2
    step_x, step_y = around[0] / _SAMPLES, around[1] / _SAMPLES
    place_23 = np.array([[step_x, 0, left], [0, step_y, top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    samples = cv2.warpAffine(
        gray, place_23, (_SAMPLES, _SAMPLES), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.resize(samples, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two portraits, -1..1, whatever their brightness and contrast.

    A picture without any contrast is like none: 0.
    """
    for picture in (a, b):
        darkest, brightest, _, _ = cv2.minMaxLoc(picture)
        if darkest == brightest:
            return 0.0
    return float(cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED)[0, 0])
