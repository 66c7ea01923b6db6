"""Which classes a page explains, what its figures say, how faces are drawn by lot."""

import numpy as np
import pytest
import torch

from edge_fer.errors import ModelError
from edge_fer.explain.figures import overlay, pair
from edge_fer.explain.gradcam import open_explainer
from edge_fer.explain.inputs import Inputs, draw, draw_per_class
from edge_fer.explain.photos import chosen_classes, read_face, reading_document

LABELS = ("left", "right", "other")


@pytest.mark.parametrize(
    ("classes", "true", "chosen"),
    [
        ("predicted", -1, (1,)),
        ("predicted", 1, (1,)),
        ("predicted", 2, (1, 2)),
        ("all", 2, (1, 2, 0)),
        ("all", -1, (1, 0, 2)),
        ("other, left,left", 1, (2, 0)),
    ],
)
def test_classes_of_a_page(classes, true, chosen):
    assert chosen_classes(classes, LABELS, 1, true) == chosen


@pytest.mark.parametrize("classes", ["", "left,up", "Left"])
def test_unknown_class(classes):
    with pytest.raises(ModelError, match="the model has left, right, other"):
        chosen_classes(classes, LABELS, 0, -1)


def test_figures_of_a_face(halves):
    """Light on the lower left: class 0, heat in the lower half only."""
    pixels = np.full((1, 8, 8), 128, np.uint8)
    pixels[0, 4:, :4] = 255
    face = Inputs(pixels=pixels, labels_N=np.array([1]), source="test")
    reading = read_face(open_explainer(halves, (1, 1, 8, 8)), face, LABELS[:2], "predicted")
    document = reading_document(reading)
    assert (document["predicted"], document["label"]) == ("left", "right")
    assert document["probability"] == pytest.approx(torch.tensor([127 / 512, 0]).softmax(0)[0])
    assert document["heat"] == [
        {
            "class": "left",
            "network": None,
            "probability": pytest.approx(document["probability"]),
            "upper": 0.0,
            "lower": 1.0,
        },
        {
            "class": "right",
            "network": None,
            "probability": pytest.approx(1 - document["probability"]),
            "upper": None,
            "lower": None,
        },
    ]


def test_a_face_shows_where_there_is_no_heat():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6), np.uint8)
    heat_HW = np.zeros((4, 6), np.float32)
    heat_HW[:, 3:] = 1
    drawn = overlay(pixels, heat_HW)
    assert (drawn.shape, drawn.dtype) == ((4, 6, 3), np.uint8)
    assert (drawn[:, :3] == pixels[:, :3, np.newaxis]).all()
    assert (drawn[:, 3:, 0] > drawn[:, 3:, 2]).all()


def test_a_pair_has_a_white_gap():
    both = pair(np.zeros((100, 10, 3), np.uint8), np.ones((100, 10, 3), np.uint8))
    assert both.shape == (100, 24, 3)
    assert (both[:, 10:14] == 255).all()


def test_faces_are_drawn_by_lot():
    rows = draw(100, 10, seed=0)
    assert len(set(rows)) == 10
    assert list(rows) == sorted(rows) == list(draw(100, 10, seed=0)) != list(draw(100, 10, seed=1))
    assert list(draw(3, 10, seed=0)) == [0, 1, 2]


def test_examples_stay_when_more_faces_are_drawn():
    labels_N = np.array([0, 1, 1] * 10)
    few, many = (draw_per_class(labels_N, 3, count, seed=0) for count in (4, 8))
    assert [len(rows) for rows in few] == [4, 4, 0]
    for label, (rows, more) in enumerate(zip(few, many, strict=True)):
        assert (labels_N[more] == label).all()
        assert list(rows) == list(more[:4])
