"""Made-up results, and how to read back what was made of them."""

import cv2
import numpy as np

from edge_fer.runtime.frame import Frame
from edge_fer.runtime.result import STAGES, Face, Result

LABELS = ("angry", "happy", "sad")
BOX = (40.0, 50.0, 30.0, 20.0)


def result(
    index=0, *, name="", size=(96, 128), box=BOX, t_s=0.0, faces=1, gray=False, dropped=0, **face
):
    """Frame ``index`` is one level of gray, 30 + ``index``; every face of it is 70 % happy."""
    shape = size if gray else (*size, 3)
    frame = Frame(index, t_s, np.full(shape, 30 + index, np.uint8), 1.0, name, dropped)
    probabilities = np.array([0.1, 0.7, 0.2], np.float32)
    found = Face(0, box, probabilities, LABELS, **face)
    return Result(frame, (found,) * faces, dict.fromkeys(STAGES, 1.5))


def frames_in(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    return frames
