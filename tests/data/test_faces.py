from dataclasses import replace

import numpy as np
import pytest

from edge_fer.data.faces import Faces, repeats_in, require_labels
from edge_fer.errors import DataError


def faces(values, labels):
    images = np.stack([np.full((48, 48), value, np.uint8) for value in values])
    return Faces(
        images_NHW=images, labels_N=np.array(labels), label_names=("a", "b"), source="made:up"
    )


def test_take_selects_by_index_and_by_mask():
    three = faces([10, 20, 30], [0, 1, 0])
    by_index, by_mask = three.take(np.array([2, 0])), three.take(np.array([False, True, False]))
    assert by_index.images_NHW[:, 0, 0].tolist() == [30, 10]
    assert by_index.labels_N.tolist() == [0, 0]
    assert by_mask.images_NHW[:, 0, 0].tolist() == [20]


def test_take_keeps_names_and_tags_with_their_faces():
    named = replace(
        faces([10, 20, 30], [0, 1, 0]), names=("a", "b", "c"), tags=((), ("pose-30",), ("nir",))
    )
    by_index, by_mask = named.take(np.array([2, 1])), named.take(np.array([False, True, False]))
    assert (by_index.names, by_index.tags) == (("c", "b"), (("nir",), ("pose-30",)))
    assert (by_mask.names, by_mask.tags) == (("b",), (("pose-30",),))


def test_unlabelled_faces_are_counted_and_refused():
    require_labels(faces([1, 2], [0, 1]))
    with pytest.raises(DataError, match=r"made:up: 2 of 3"):
        require_labels(faces([1, 2, 3], [-1, 0, -1]))


def test_leaks_are_exact_repeats_whatever_their_label():
    one_pixel_off = faces([1], [0])
    one_pixel_off.images_NHW[0, 47, 47] += 1
    reference = faces([1, 2], [0, 0])
    assert repeats_in(reference, faces([2, 3, 1], [1, 1, 1])).tolist() == [True, False, True]
    assert repeats_in(reference, one_pixel_off).tolist() == [False]
