"""From a detector network's output to faces and back: the one copy, for training and the device.

The network gives 15 channels for every cell of 8 x 8 pixels. Each has a unit of its own, such that
-8 .. 8 is all it needs and an INT8 step of 1/16 is fine enough:

| channel | holds | one INT8 step |
|---|---|---|
| 0 | logit of "a face has its centre near here" | 0.06 |
| 1, 2 | x, y of the box's centre from the cell's centre, in cells | 0.5 pixels |
| 3, 4 | ``4 (log(w / 8) - 2)`` of width and height: 8 to 437 pixels | 1.6 % |
| 5 to 14 | x, y of five points from the box's centre, in eighths of width, height | 0.8 % |

Shape suffixes: H, W cells of the output; C its channels; N faces.
"""

from dataclasses import dataclass

import numpy as np

STRIDE_PX = 8
CHANNELS = 15
#: What is beyond is cut off, in float as in INT8.
LIMIT = 8.0
#: Of the output in INT8; its zero point is 0.
STEP = LIMIT / 128
SIZE_UNITS, SIZE_OFFSET = 4.0, 2.0
POINT_UNITS = 8.0
#: Of intersection over union, above which two boxes are the same face's.
OVERLAP = 0.3
#: And above which a cell has a say in where the face is.
AGREEMENT = 0.5
#: Best cells that are looked at; a face has a dozen.
MOST_CELLS = 400


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces of one picture, best first.

    Attributes:
        boxes_N4: float64 ``x, y, w, h`` in pixels of the network's input.
        points_N52: float64, as ``Detection.landmarks`` has them.
        scores_N: float64, 0..1.
    """

    boxes_N4: np.ndarray
    points_N52: np.ndarray
    scores_N: np.ndarray


def decode_faces(
    raw_HWC: np.ndarray, *, step: float = 1.0, min_score: float = 0.5, overlap: float = OVERLAP
) -> Faces:
    """Reads the faces out of a network's output.

    Each face is the mean of what the cells around it say, so that it is steadier than any of them.

    Args:
        raw_HWC: float32 or int8 ``[H, W, 15]``, in the order and the units above.
        step: Value of one unit of ``raw_HWC``: 1 for float, its scale for int8.
        min_score: Weakest face that counts.
        overlap: Of two boxes with more intersection over union than this the better one stays.
    """
    rows_N, columns_N = np.nonzero(raw_HWC[..., 0] >= _logit(min_score) / step)
    raw_NC = raw_HWC[rows_N, columns_N].astype(np.float64) * step
    order_N = np.argsort(-raw_NC[:, 0], kind="stable")[:MOST_CELLS]
    raw_NC = raw_NC[order_N].clip(-LIMIT, LIMIT)
    boxes_N4, points_N52 = decode_cells(raw_NC, rows_N[order_N], columns_N[order_N])
    scores_N = 1 / (1 + np.exp(-raw_NC[:, 0]))
    kept_K = suppress(boxes_N4, overlap)
    weights_KN = _votes(boxes_N4, scores_N, kept_K)
    points_K52 = np.tensordot(weights_KN, points_N52, 1)
    return Faces(weights_KN @ boxes_N4, points_K52, scores_N[kept_K])


def decode_cells(
    raw_NC: np.ndarray, rows_N: np.ndarray, columns_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turns what some cells say into boxes and points.

    Args:
        raw_NC: float ``[N, 15]``; the score is not used.
        rows_N: Row of each cell, from above.
        columns_N: Column of each cell, from the left.

    Returns:
        ``boxes_N4`` and ``points_N52``, as in ``Faces``.
    """
    cells_N2 = np.stack([columns_N, rows_N], 1) + 0.5
    centres_N2 = (cells_N2 + raw_NC[:, 1:3]) * STRIDE_PX
    sizes_N2 = STRIDE_PX * np.exp(raw_NC[:, 3:5] / SIZE_UNITS + SIZE_OFFSET)
    offsets_N52 = raw_NC[:, 5:].reshape(-1, 5, 2) / POINT_UNITS
    points_N52 = centres_N2[:, np.newaxis] + offsets_N52 * sizes_N2[:, np.newaxis]
    return np.hstack([centres_N2 - sizes_N2 / 2, sizes_N2]), points_N52


def encode_cells(
    boxes_N4: np.ndarray, points_N52: np.ndarray, rows_N: np.ndarray, columns_N: np.ndarray
) -> np.ndarray:
    """Says what cells should give for faces: the inverse of ``decode_cells``.

    Returns:
        float ``[N, 15]``, not cut off at ``LIMIT``; the score is 0.
    """
    cells_N2 = np.stack([columns_N, rows_N], 1) + 0.5
    sizes_N2 = boxes_N4[:, 2:]
    centres_N2 = boxes_N4[:, :2] + sizes_N2 / 2
    shifts_N2 = centres_N2 / STRIDE_PX - cells_N2
    logs_N2 = SIZE_UNITS * (np.log(sizes_N2 / STRIDE_PX) - SIZE_OFFSET)
    offsets_N52 = POINT_UNITS * (points_N52 - centres_N2[:, np.newaxis]) / sizes_N2[:, np.newaxis]
    scores_N1 = np.zeros((len(boxes_N4), 1))
    return np.hstack([scores_N1, shifts_N2, logs_N2, offsets_N52.reshape(-1, 10)])


def suppress(boxes_N4: np.ndarray, overlap: float) -> np.ndarray:
    """Keeps, of boxes that overlap, the first (greedy non-maximum suppression).

    Args:
        boxes_N4: ``x, y, w, h``, best first.
        overlap: Most intersection over union with a box that is kept.

    Returns:
        Indices of those kept, int ``[K]``, ascending.
    """
    left = np.arange(len(boxes_N4))
    kept = []
    while len(left):
        kept.append(left[0])
        others = left[1:]
        left = others[overlaps(boxes_N4[left[0]], boxes_N4[others]) <= overlap]
    return np.array(kept, np.intp)


def _votes(boxes_N4: np.ndarray, scores_N: np.ndarray, kept_K: np.ndarray) -> np.ndarray:
    """How much each cell has to say about each face: those that agree with its best one, all."""
    weights_KN = np.zeros((len(kept_K), len(boxes_N4)))
    for row, best in enumerate(kept_K):
        agree_N = overlaps(boxes_N4[best], boxes_N4) >= AGREEMENT
        weights_KN[row, agree_N] = scores_N[agree_N] ** 2
    return np.asarray(weights_KN / weights_KN.sum(1, keepdims=True))


def overlaps(box_4: np.ndarray, boxes_N4: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with each of others, ``[N]``."""
    starts_N2 = np.maximum(box_4[:2], boxes_N4[:, :2])
    ends_N2 = np.minimum(box_4[:2] + box_4[2:], boxes_N4[:, :2] + boxes_N4[:, 2:])
    shared_N = (ends_N2 - starts_N2).clip(0).prod(1)
    union_N = box_4[2:].prod() + boxes_N4[:, 2:].prod(1) - shared_N
    return np.asarray(shared_N / union_N)


def _logit(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))
