import numpy as np
import pytest

from edge_fer.data.faces import Faces
from edge_fer.errors import DataError
from edge_fer.evaluate.classes import share_classes
from edge_fer.labels import EIGHT, MICRO_3, SEVEN, SIX


def faces_of(labels, label_names):
    labels_N = np.array(labels)
    return Faces(
        images_NHW=np.arange(len(labels), dtype=np.uint8)[:, None, None],
        labels_N=labels_N,
        label_names=label_names,
        source="made:up",
        names=tuple(map(str, range(len(labels)))),
    )


def test_the_same_classes_change_nothing():
    shared = share_classes([SEVEN], SEVEN, "data")
    faces, kept_N = shared.faces(faces_of([6, 0, 3], SEVEN))
    assert shared.label_names == SEVEN
    assert kept_N.all()
    assert faces.labels_N.tolist() == [6, 0, 3]
    logits_NK = np.arange(14).reshape(2, 7)
    assert np.array_equal(shared.logits(logits_NK, 0), logits_NK)


def test_faces_of_a_class_that_the_model_lacks_are_dropped_and_counted():
    shared = share_classes([SEVEN], EIGHT, "data")
    before = faces_of([7, 0, 7, 3], EIGHT)
    faces, kept_N = shared.faces(before)
    assert kept_N.tolist() == [False, True, False, True]
    assert (faces.names, faces.labels_N.tolist()) == (("1", "3"), [0, 3])
    assert shared.dropped_faces(before) == {"contempt": 2}


def test_outputs_that_the_data_lack_are_left_out():
    shared = share_classes([SEVEN], SIX, "data")
    assert shared.label_names == SIX
    assert shared.logits(np.arange(7)[None], 0).tolist() == [[0, 1, 2, 3, 4, 5]]
    assert shared.dropped_faces(faces_of([0, 1], SIX)) == {}


def test_other_names_and_another_order_are_put_right():
    data = ("Surprised", "happiness", "joy", "Anger", "bored")
    shared = share_classes([SEVEN], data, "data")
    faces, _ = shared.faces(faces_of([0, 1, 2, 3], data))
    assert shared.label_names == ("angry", "happy", "surprise")
    assert [shared.label_names[label] for label in faces.labels_N] == [
        "surprise", "happy", "happy", "angry",
    ]  # fmt: skip
    assert shared.logits(np.arange(7)[None], 0).tolist() == [[0, 3, 5]]


def test_a_model_keeps_its_own_names():
    shared = share_classes([("Happiness", "Sadness")], SEVEN, "data")
    assert shared.label_names == ("Happiness", "Sadness")
    faces, _ = shared.faces(faces_of([3, 4, 0], SEVEN))
    assert faces.labels_N.tolist() == [0, 1]


def test_names_that_mean_the_same_stay_apart_where_a_model_has_both():
    labels = ("happy", "joy", "sad")
    assert share_classes([labels], labels, "data").label_names == labels


def test_several_models_are_held_to_what_all_have():
    shared = share_classes([SEVEN, ("neutral", "Anger", "contempt")], EIGHT, "data")
    assert shared.label_names == ("angry", "neutral")
    assert shared.logits(np.arange(3)[None], 1).tolist() == [[1, 0]]


def test_emotions_count_as_micro_expression_classes():
    shared = share_classes([MICRO_3], ("happy", "disgust", "fear", "surprise", "others"), "data")
    assert shared.label_names == MICRO_3
    assert shared.of_data == (1, 0, 0, 2, -1)


@pytest.mark.parametrize("data", [("a", "b"), ("surprise", "bored")])
def test_fewer_than_two_shared_classes_are_refused(data):
    with pytest.raises(DataError, match=r"share [01] classes; 2 are needed"):
        share_classes([SEVEN], data, "data")


def test_a_dataset_without_a_face_of_the_shared_classes_is_refused():
    with pytest.raises(DataError, match="none of 2 faces"):
        share_classes([SEVEN], EIGHT, "data").faces(faces_of([7, 7], EIGHT))
