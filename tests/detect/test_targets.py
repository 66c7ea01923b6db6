from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_fer.data.scenes import Photo
from edge_fer.detect.targets import BACKGROUND, FACE, IGNORED, lessons_of
from edge_fer.runtime.faces.decode import decode_cells

CANVAS = np.full((128, 160), 128, np.uint8)
POINTS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75)])


def scene(*boxes, ignored=()):
    boxes_N4 = np.array(boxes, float).reshape(-1, 4)
    return Photo(
        name="s",
        image_HW=CANVAS,
        boxes_N4=boxes_N4,
        points_N52=boxes_N4[:, np.newaxis, :2] + POINTS * boxes_N4[:, np.newaxis, 2:],
        ignored_N4=np.array(ignored, float).reshape(-1, 4),
    )


@pytest.mark.parametrize("box", [(30, 40, 9, 11), (70.3, 20.7, 24, 31), (20, 5, 100, 118)])
def test_every_cell_of_a_face_decodes_to_it(box):
    photo = scene(box)
    lessons = lessons_of([photo])
    rows, columns = np.nonzero(lessons.kinds_BHW[0].numpy() == FACE)
    boxes_N4, points_N52 = decode_cells(
        lessons.wanted_BHWC[0].numpy()[rows, columns], rows, columns
    )
    assert len(rows)
    np.testing.assert_allclose(boxes_N4, np.tile(box, (len(rows), 1)), atol=1e-3)
    np.testing.assert_allclose(points_N52, np.repeat(photo.points_N52, len(rows), 0), atol=1e-3)
    assert lessons.weights_BHW[0].numpy()[rows, columns].sum() == pytest.approx(len(rows) ** 0.5)


def test_a_face_says_nothing_far_away_and_ignores_a_ring():
    kinds_HW = lessons_of([scene((60, 40, 48, 48))]).kinds_BHW[0].numpy()
    assert kinds_HW[8, 10] == FACE
    assert kinds_HW[9, 11] == IGNORED
    assert kinds_HW[0, 0] == BACKGROUND
    assert (kinds_HW == FACE).sum() <= 16


def test_ignored_boxes_teach_nothing():
    kinds_HW = lessons_of([scene(ignored=[(16, 16, 16, 24)])]).kinds_BHW[0].numpy()
    assert (kinds_HW[2:5, 2:4] == IGNORED).all()
    assert (kinds_HW == IGNORED).sum() == 6


def test_a_small_face_in_front_of_a_large_one_keeps_its_cell():
    lessons = lessons_of([scene((62, 46, 12, 12), (20, 4, 100, 110))])
    row, column = 6, 8
    assert lessons.kinds_BHW[0, row, column] == FACE
    width = 8 * np.exp(lessons.wanted_BHWC[0, row, column, 3].item() / 4 + 2)
    assert width == pytest.approx(12, rel=1e-4)


def test_a_face_whose_middle_is_outside_still_has_a_cell():
    kinds_HW = lessons_of([scene((-25, 40, 48, 48))]).kinds_BHW[0].numpy()
    assert (kinds_HW[:, 0] == FACE).any()


def test_unknown_points_stay_unknown():
    photo = scene((60, 40, 48, 48))
    photo = replace(photo, points_N52=np.full((1, 5, 2), np.nan))
    lessons = lessons_of([photo])
    wanted_FC = lessons.wanted_BHWC[lessons.kinds_BHW == FACE]
    assert wanted_FC[:, :5].isfinite().all()
    assert wanted_FC[:, 5:].isnan().all()


def test_pictures_are_normalised_and_stacked():
    lessons = lessons_of([scene(), scene()])
    assert lessons.x_NCHW.shape == (2, 1, 128, 160)
    assert (lessons.x_NCHW == 0).all()
    assert lessons.to(torch.device("cpu")).kinds_BHW.dtype == torch.int8
