"""How good found faces are: average precision, and recall at so many false faces per picture.

A found face is right if it overlaps a true one, that no better one has taken, with an intersection
over union of at least 0.5; it does not count if it lies on what is to be ignored. Boxes are
compared as far as they are inside the picture.

Shape suffixes: N faces; 4 is ``x, y, w, h``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_fer.data.scenes import Photo
from edge_fer.data.scenes_warp import face_sizes_px
from edge_fer.runtime.faces.decode import Faces, overlaps

LEAST_OVERLAP = 0.5
#: Share of a found box on an ignored one above which it does not count.
_ON_IGNORED = 0.5
#: Takes a picture, says of each true face, bool ``[N]``, whether it is asked for.
Asked = Callable[[Photo], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Found faces of some pictures, best first, and what they should have been.

    Attributes:
        scores_N: float.
        right_N: bool, whether a true face was found.
        faces: True faces in all pictures.
        pictures: Their number.
    """

    scores_N: np.ndarray
    right_N: np.ndarray
    faces: int
    pictures: int

    @property
    def average_precision(self) -> float:
        """Area under precision over recall, each precision the best at that recall or more."""
        precisions_N = self.right_N.cumsum() / np.arange(1, len(self.right_N) + 1)
        best_N = np.maximum.accumulate(precisions_N[::-1])[::-1]
        return float((best_N * np.diff(self._recalls(), prepend=0)).sum())

    def recall_at(self, false_per_picture: float) -> float:
        """Share of true faces found where so many faces per picture are false."""
        return float(self._at(false_per_picture, self._recalls(), 0.0))

    def score_at(self, false_per_picture: float) -> float:
        """Returns the weakest score that counts there."""
        return float(self._at(false_per_picture, self.scores_N, 1.0))

    def _recalls(self) -> np.ndarray:
        """Share of true faces found by the best 1, 2, ... N."""
        return np.asarray(self.right_N.cumsum() / max(1, self.faces))

    def _at(self, false_per_picture: float, values_N: np.ndarray, otherwise: float) -> float:
        allowed_N = (~self.right_N).cumsum() <= false_per_picture * self.pictures
        return values_N[allowed_N][-1] if allowed_N.any() else otherwise


def judge(
    found: Sequence[Faces],
    truths: Sequence[Photo],
    *,
    least_overlap: float = LEAST_OVERLAP,
    asked: Asked | None = None,
    sizes_px: tuple[float, float] = (0.0, math.inf),
) -> Judged:
    """Compares found faces with true ones.

    Args:
        found: Of each picture, in its pixels, best first.
        truths: The pictures.
        least_overlap: Of a found face with a true one.
        asked: Which true faces are asked for; the others are ignored.
        sizes_px: Of a face that counts as asked for, or as false: from, to.
    """
    rows = [
        _rows(faces, truth, least_overlap, _asked(truth, asked, sizes_px), sizes_px)
        for faces, truth in zip(found, truths, strict=True)
    ]
    scores_N = np.concatenate([row[0] for row in rows])
    right_N = np.concatenate([row[1] for row in rows])
    order_N = np.argsort(-scores_N, kind="stable")
    return Judged(
        scores_N=scores_N[order_N],
        right_N=right_N[order_N],
        faces=sum(row[2] for row in rows),
        pictures=len(rows),
    )


def average_precision(
    found: Sequence[Faces], truths: Sequence[Photo], least_overlap: float = LEAST_OVERLAP
) -> float:
    """Returns the average precision of found faces; arguments as in ``judge``."""
    return judge(found, truths, least_overlap=least_overlap).average_precision


def clipped(boxes_N4: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns what of boxes is inside a picture of this shape ``(H, W)``."""
    limit_2 = np.array(shape[1::-1])
    starts_N2 = boxes_N4[:, :2].clip(0, limit_2)
    ends_N2 = (boxes_N4[:, :2] + boxes_N4[:, 2:]).clip(0, limit_2)
    return np.hstack([starts_N2, ends_N2 - starts_N2])


def _asked(truth: Photo, asked: Asked | None, sizes_px: tuple[float, float]) -> np.ndarray:
    wanted_N = _has_size(truth.boxes_N4, sizes_px)
    return wanted_N if asked is None else wanted_N & asked(truth)


def _has_size(boxes_N4: np.ndarray, sizes_px: tuple[float, float]) -> np.ndarray:
    sizes_N = face_sizes_px(boxes_N4)
    return np.asarray((sizes_N >= sizes_px[0]) & (sizes_N < sizes_px[1]))


def _rows(
    faces: Faces,
    truth: Photo,
    least_overlap: float,
    asked_N: np.ndarray,
    sizes_px: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray, int]:
    """Scores and verdicts of the found faces that count, and the number of true ones."""
    shape = truth.image_HW.shape
    boxes_N4, true_N4 = clipped(faces.boxes_N4, shape), clipped(truth.boxes_N4, shape)
    ignored_N4 = clipped(truth.ignored_N4, shape)
    free_N = np.ones(len(true_N4), bool)
    counts_N = _has_size(faces.boxes_N4, sizes_px)
    right_N = np.zeros(len(boxes_N4), bool)
    for index, box_4 in enumerate(boxes_N4):
        best = _best(box_4, true_N4, free_N, least_overlap)
        if best is None:
            counts_N[index] &= not _is_on(box_4, ignored_N4)
        else:
            free_N[best], right_N[index], counts_N[index] = False, True, asked_N[best]
    return faces.scores_N[counts_N], right_N[counts_N], int(asked_N.sum())


def _best(
    box_4: np.ndarray, true_N4: np.ndarray, free_N: np.ndarray, least_overlap: float
) -> int | None:
    if not free_N.any() or not box_4[2:].all():
        return None
    shared_N = np.where(free_N, overlaps(box_4, true_N4), -1.0)
    return int(shared_N.argmax()) if shared_N.max() >= least_overlap else None


def _is_on(box_4: np.ndarray, ignored_N4: np.ndarray) -> bool:
    starts_N2 = np.maximum(box_4[:2], ignored_N4[:, :2])
    ends_N2 = np.minimum(box_4[:2] + box_4[2:], ignored_N4[:, :2] + ignored_N4[:, 2:])
    shared_N = (ends_N2 - starts_N2).clip(0).prod(1)
    return bool((shared_N >= _ON_IGNORED * box_4[2:].prod()).any())
