import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.runtime.faces.decode import (
    CHANNELS,
    LIMIT,
    MOST_CELLS,
    STEP,
    STRIDE_PX,
    decode_cells,
    decode_faces,
    encode_cells,
    overlaps,
    suppress,
)
from edge_fer.runtime.faces.tracking import overlap

coordinates = st.floats(-20, 340)
sides = st.floats(9, 430)
boxes = st.tuples(coordinates, coordinates, sides, sides)
#: Of a point, from the box's upper left corner, in sides of the box.
places = st.floats(-0.4, 1.4)


@st.composite
def faces(draw):
    """A box with five points, and a cell within two of its centre."""
    box = np.array(draw(boxes))
    points_52 = np.array(draw(st.lists(places, min_size=10, max_size=10))).reshape(5, 2)
    nearest = (box[:2] + box[2:] / 2) // STRIDE_PX
    column, row = nearest.astype(int) + draw(st.tuples(st.integers(-2, 2), st.integers(-2, 2)))
    return box, box[:2] + points_52 * box[2:], row, column


def encoded(face):
    box, points, row, column = face
    return encode_cells(box[None], points[None], np.array([row]), np.array([column]))


@given(faces())
def test_what_is_encoded_is_decoded(face):
    box, points, row, column = face
    boxes_14, points_152 = decode_cells(encoded(face), np.array([row]), np.array([column]))
    np.testing.assert_allclose(boxes_14[0], box, atol=1e-6)
    np.testing.assert_allclose(points_152[0], points, atol=1e-6)


@given(faces())
def test_int8_steps_move_a_face_by_no_more_than_they_say(face):
    box, points, row, column = face
    raw_1C = encoded(face)
    assert np.abs(raw_1C).max() <= LIMIT
    stepped = np.rint(raw_1C / STEP).clip(-128, 127) * STEP
    boxes_14, points_152 = decode_cells(stepped, np.array([row]), np.array([column]))
    size_error = np.abs(boxes_14[0, 2:] / box[2:] - 1).max()
    assert size_error < 0.0165
    centre_error = np.abs(boxes_14[0, :2] + boxes_14[0, 2:] / 2 - box[:2] - box[2:] / 2).max()
    assert centre_error <= 0.51
    assert (np.abs(points_152[0] - points) <= 0.51 + (0.009 + 0.017) * box[2:]).all()


@settings(max_examples=50)
@given(st.lists(faces(), max_size=4), st.booleans())
def test_a_map_gives_back_the_faces_put_into_it(wanted, as_int8):
    """Also those over the border, as long as a cell of the map is near."""
    inside = [f for f in wanted if 0 <= f[2] < 32 and 0 <= f[3] < 40]
    alone = [
        f
        for i, f in enumerate(inside)
        if all(overlap(f[0], g[0]) < 0.2 and (f[2], f[3]) != (g[2], g[3]) for g in inside[:i])
    ]
    raw_HWC = np.zeros((32, 40, CHANNELS))
    raw_HWC[..., 0] = -5
    for number, face in enumerate(alone):
        raw_HWC[face[2], face[3]] = encoded(face)
        raw_HWC[face[2], face[3], 0] = 3 - 0.25 * number
    if as_int8:
        raw_HWC = np.rint(raw_HWC / STEP).clip(-128, 127).astype(np.int8)
    found = decode_faces(raw_HWC, step=STEP if as_int8 else 1.0)
    assert len(found.scores_N) == len(alone)
    for face, box_4, score in zip(alone, found.boxes_N4, found.scores_N, strict=True):
        assert overlap(face[0], box_4) > 0.85
        assert 0.5 <= score <= 1
    assert (np.diff(found.scores_N) <= 0).all()


def test_cells_of_one_face_are_averaged_by_their_scores():
    raw_HWC = np.full((8, 8, CHANNELS), -8.0)
    rows, columns = np.array([3, 3]), np.array([3, 4])
    boxes_24 = np.array([[10.0, 10, 32, 40], [12.0, 10, 32, 40]])
    raw_HWC[rows, columns] = encode_cells(boxes_24, np.zeros((2, 5, 2)), rows, columns)
    scores_2 = np.array([0.9, 0.6])
    raw_HWC[rows, columns, 0] = np.log(scores_2 / (1 - scores_2))
    (box,) = decode_faces(raw_HWC).boxes_N4
    x = (0.81 * 10 + 0.36 * 12) / (0.81 + 0.36)
    np.testing.assert_allclose(box, [x, 10, 32, 40])


@given(st.lists(boxes, max_size=12), st.floats(0.05, 0.95))
def test_suppression_keeps_the_best_of_what_overlaps(listed, share):
    boxes_N4 = np.array(listed).reshape(-1, 4)
    kept = suppress(boxes_N4, share).tolist()
    assert kept == sorted(set(kept))
    assert kept[:1] == ([0] if listed else [])
    for index, box in enumerate(listed):
        before = [overlap(listed[i], box) for i in kept if i < index]
        assert (index in kept) == all(one <= share for one in before)


@given(boxes, st.lists(boxes, min_size=1, max_size=8))
def test_overlaps_are_those_of_the_tracker(box, others):
    found = overlaps(np.array(box), np.array(others))
    np.testing.assert_allclose(found, [overlap(box, one) for one in others], atol=1e-9)


@pytest.mark.parametrize("dtype", [np.int8, np.float32])
def test_a_map_without_a_face_gives_none(dtype):
    found = decode_faces(np.full((16, 20, CHANNELS), -100, dtype), step=STEP)
    assert (found.boxes_N4.shape, found.points_N52.shape) == ((0, 4), (0, 5, 2))


@pytest.mark.parametrize("min_score", [0.1, 0.5, 0.9])
def test_the_weakest_face_that_counts_is_the_same_in_int8(min_score):
    raw_HWC = np.zeros((1, 41, CHANNELS), np.float32)
    raw_HWC[0, :, 0] = np.arange(-20, 21) / 4
    counts = [
        len(decode_faces(raw, step=step, min_score=min_score, overlap=1.0).scores_N)
        for raw, step in ((raw_HWC, 1.0), (np.rint(raw_HWC / STEP).astype(np.int8), STEP))
    ]
    expected = (1 / (1 + np.exp(-raw_HWC[0, :, 0].astype(float))) >= min_score).sum()
    assert counts == [expected, expected]


def test_values_no_int8_could_hold_are_cut_off():
    raw_HWC = np.full((1, 1, CHANNELS), 1e6, np.float32)
    found = decode_faces(raw_HWC)
    assert np.isfinite(found.boxes_N4).all()
    assert found.boxes_N4[0, 2] == pytest.approx(8 * np.exp(4))


def test_a_map_full_of_faces_does_not_take_all_of_them():
    raw_HWC = np.zeros((60, 80, CHANNELS), np.float32)
    raw_HWC[..., 0], raw_HWC[..., 3:5] = 5, -8
    assert len(decode_faces(raw_HWC).scores_N) == MOST_CELLS
