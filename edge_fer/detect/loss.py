"""What a detector's mistakes cost.

* The score is to be the root of the overlap that the cell's box has with the face's (quality focal
  loss; Li et al., "Generalized Focal Loss", NeurIPS 2020, eq. 4, has the overlap): the best box
  then wins where boxes compete. The root is kinder to small faces, on which a pixel weighs more.
* Boxes: one minus overlap, plus the centres' distance in terms of the box around both
  (distance-IoU; Zheng et al., AAAI 2020, eq. 7).
* Points, where they are known: smooth L1 in the units of a cell.
* Cells without a face are kept near zero in what they say of boxes and points, because an INT8
  file shares one scale among all cells.

Shape suffixes: F cells that hold a face, C the 15 channels of a cell.
"""

import torch
from torch import Tensor
from torch.nn import functional

from edge_fer.detect.targets import BACKGROUND, FACE, Lessons
from edge_fer.runtime.faces.decode import SIZE_OFFSET, SIZE_UNITS

#: An overlap that a score never is to be below, or nothing would be learnt at the start.
_LEAST_QUALITY = 0.1
_BOX_WEIGHT, _POINT_WEIGHT, _QUIET_WEIGHT = 1.5, 0.15, 2e-3
_TINY = 1e-6


def detection_loss(raw_NCHW: Tensor, lessons: Lessons) -> Tensor:
    """Returns the loss of a batch per face in it.

    Args:
        raw_NCHW: The network's output.
        lessons: What it should have been.
    """
    raw_BHWC = raw_NCHW.float().permute(0, 2, 3, 1)
    faces_BHW, quiet_BHW = lessons.kinds_BHW == FACE, lessons.kinds_BHW == BACKGROUND
    raw_FC, wanted_FC = raw_BHWC[faces_BHW], lessons.wanted_BHWC[faces_BHW]
    weights_F = lessons.weights_BHW[faces_BHW]
    count = weights_F.sum().clamp(min=1)

    overlap_F, distance_F = box_overlap(raw_FC, wanted_FC)
    quality_F = overlap_F.detach().clamp(min=_LEAST_QUALITY).sqrt()
    scores = (score_loss(raw_FC[:, 0], quality_F) * weights_F).sum()
    background_B = raw_BHWC[quiet_BHW]
    scores = scores + score_loss(background_B[:, 0], raw_BHWC.new_zeros(())).sum()
    boxes = ((1 - overlap_F + distance_F) * weights_F).sum()
    points = (point_loss(raw_FC[:, 5:], wanted_FC[:, 5:]) * weights_F).sum()
    quiet = background_B[:, 1:].square().mean()
    sums = scores + _BOX_WEIGHT * boxes + _POINT_WEIGHT * points
    return sums / count + _QUIET_WEIGHT * quiet


def score_loss(logits: Tensor, quality: Tensor) -> Tensor:
    """Quality focal loss with beta 2, elementwise."""
    entropy = functional.binary_cross_entropy_with_logits(
        logits, quality.expand_as(logits), reduction="none"
    )
    return entropy * (logits.sigmoid() - quality).square()


def box_overlap(raw_FC: Tensor, wanted_FC: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the intersection over union of boxes, and how far apart their centres are.

    Returns:
        Two tensors ``[F]``: the former, and the squared distance of the centres over the squared
        diagonal of the box around both.
    """
    first_F4, second_F4 = _corners(raw_FC), _corners(wanted_FC)
    shared_F2 = torch.minimum(first_F4[:, 2:], second_F4[:, 2:]) - torch.maximum(
        first_F4[:, :2], second_F4[:, :2]
    )
    around_F2 = torch.maximum(first_F4[:, 2:], second_F4[:, 2:]) - torch.minimum(
        first_F4[:, :2], second_F4[:, :2]
    )
    shared_F = shared_F2.clamp(min=0).prod(1)
    areas_F = [(box[:, 2:] - box[:, :2]).prod(1) for box in (first_F4, second_F4)]
    union_F = areas_F[0] + areas_F[1] - shared_F
    apart_F = (raw_FC[:, 1:3] - wanted_FC[:, 1:3]).square().sum(1)
    return shared_F / (union_F + _TINY), apart_F / (around_F2.square().sum(1) + _TINY)


def point_loss(raw_FP: Tensor, wanted_FP: Tensor) -> Tensor:
    """Smooth L1, mean over the known coordinates of a face ``[F]``; 0 where none is known."""
    known_FP = wanted_FP.isfinite()
    losses_FP = functional.smooth_l1_loss(
        raw_FP, torch.where(known_FP, wanted_FP, raw_FP.detach()), beta=0.5, reduction="none"
    )
    return losses_FP.sum(1) / known_FP.sum(1).clamp(min=1)


def _corners(raw_FC: Tensor) -> Tensor:
    """Left, top, right, bottom in cells, from the middle of the cell."""
    half_F2 = (raw_FC[:, 3:5].clamp(-8, 8) / SIZE_UNITS + SIZE_OFFSET).exp() / 2
    return torch.cat([raw_FC[:, 1:3] - half_F2, raw_FC[:, 1:3] + half_F2], 1)
