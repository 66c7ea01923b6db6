import numpy as np
import pytest

from edge_fer.data.protocols import k_fold, write_protocol
from edge_fer.data.spec import read_dataset, read_faces, read_fold
from edge_fer.data.votes import votes_for
from edge_fer.errors import DataError, EdgeFerError
from edge_fer.train.config import Stage, TrainConfig
from edge_fer.train.session import drawn, read_sides


@pytest.fixture
def faces(tiny_fer2013):
    return read_faces(f"fer2013:{tiny_fer2013}", "Training")


def test_drawn_faces_have_every_class_in_its_share(faces):
    few = drawn(faces, 20, seed=0)
    assert len(few) == 20
    share = np.bincount(few.labels_N, minlength=7) / 20
    whole = np.bincount(faces.labels_N, minlength=7) / len(faces)
    assert np.abs(share - whole).max() < 0.1
    assert not np.array_equal(few.images_NHW, drawn(faces, 20, seed=1).images_NHW)
    assert drawn(faces, 10**6, seed=0) is faces


def test_a_fold_is_read_with_a_validation_set_of_its_own(tiny_fer2013, tmp_path):
    spec = f"fer2013:{tiny_fer2013}"
    dataset = read_dataset(spec)
    folds = k_fold(dataset, 3, seed=0)
    path = tmp_path / "protocol.json"
    write_protocol(path, dataset, folds)
    config = TrainConfig(model="arch-1", data=spec, protocol=str(path), fold="fold-2")
    train, validation = read_sides(config)
    test = read_fold(spec, path, "fold-2", "test")
    assert set(test.names) == set(folds[1].test)
    assert set(train.names) | set(validation.names) == set(folds[1].train)
    assert not set(train.names) & set(validation.names)
    with pytest.raises(DataError, match="fold-1"):
        read_sides(TrainConfig(model="arch-1", data=spec, protocol=str(path)))


@pytest.mark.data
def test_votes_stand_beside_the_faces_that_they_are_about(fer2013_file):
    spec = f"fer2013:{fer2013_file}"
    faces = read_faces(spec, "PublicTest")
    votes_NK = votes_for(spec, faces)
    assert votes_NK.shape == (3589, 7)
    voted = votes_NK.sum(1) > 0
    agreement = (votes_NK.argmax(1) == faces.labels_N)[voted].mean()
    assert agreement > 0.6
    shifted = (np.roll(votes_NK, 1, axis=0).argmax(1) == faces.labels_N)[voted].mean()
    assert shifted < 0.25


def test_a_dataset_may_have_no_votes(tiny_fer2013, faces):
    assert votes_for(f"fer2013:{tiny_fer2013}", faces) is None
    assert votes_for("synthetic:70", read_faces("synthetic:70", "Training")) is None


def test_landmarks_are_asked_for_before_anything_is_trained(tiny_fer2013, tmp_path):
    from edge_fer.train.session import open_run

    stages = (Stage(name="landmarks", target="landmarks"), Stage())
    config = TrainConfig(model="part-ensemble", data=f"fer2013:{tiny_fer2013}", stages=stages)
    with pytest.raises(EdgeFerError, match="edge-fer data landmarks"):
        open_run(config, tmp_path, "")
