"""Features, their separation, their map."""

import numpy as np
import pytest
import torch

from edge_fer.errors import DataError
from edge_fer.explain.features import features_of, separation, tsne


@pytest.fixture
def clusters():
    """Three classes of 20 points, far apart."""
    labels_N = np.repeat([0, 1, 2], 20)
    noise_NF = np.random.default_rng(0).normal(size=(60, 4))
    return (noise_NF + 100 * labels_N[:, np.newaxis]).astype(np.float32), labels_N


def test_separated_clusters(clusters):
    found = separation(*clusters)
    assert (found.knn_accuracy, found.neighbours) == (1.0, 10)
    assert found.silhouette > 0.95


def test_a_face_is_not_its_own_neighbour():
    """Of the three others, two are always of the other class."""
    found = separation(np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1]))
    assert (found.knn_accuracy, found.neighbours) == (0, 3)


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2], [0]])
def test_classes_that_cannot_be_separated(labels):
    with pytest.raises(DataError, match="cannot be separated"):
        separation(np.zeros((len(labels), 2)), np.array(labels))


def test_tsne_repeats_with_its_seed(clusters):
    features_NF, labels_N = clusters
    points_N2 = tsne(features_NF, seed=1)
    assert points_N2.shape == (60, 2)
    np.testing.assert_array_equal(points_N2, tsne(features_NF, seed=1))
    assert separation(points_N2, labels_N).knn_accuracy == 1


def test_tsne_of_very_few_faces():
    assert tsne(np.eye(3, dtype=np.float32), seed=0).shape == (3, 2)


def test_features_are_what_the_last_layer_reads(halves):
    x_NCHW = torch.rand(5, 1, 8, 8)
    read_NF = features_of(halves, x_NCHW.split(2), (1, 1, 8, 8), 2)
    with torch.inference_mode():
        np.testing.assert_allclose(read_NF, halves(x_NCHW).numpy(), rtol=1e-6)
