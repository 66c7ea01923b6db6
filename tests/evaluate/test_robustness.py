import numpy as np

from edge_fer.evaluate.disturb import DISTURBANCES
from edge_fer.evaluate.metrics import wilson_interval
from edge_fer.evaluate.robustness import robustness


def test_curves_of_two_models_on_the_same_faces():
    """One says class 0 of any face, the other is right as long as the face is bright."""
    images = np.full((8, 24, 24), 200, np.uint8)
    labels = np.array([0, 1] * 4)

    def constant(images_NHW):
        return np.tile([1.0, 0.0], (len(images_NHW), 1))

    def needs_light(images_NHW):
        bright = images_NHW.mean((1, 2)) > 80
        return np.eye(2)[np.where(bright, labels, 1 - labels)]

    announced = []
    first, second = robustness((constant, needs_light), images, labels, announced.append)
    assert [curve["disturbance"] for curve in first] == list(DISTURBANCES)
    assert len(announced) == len(DISTURBANCES)
    assert {step["accuracy"] for curve in first for step in curve["levels"]} == {0.5}
    curves = {curve["disturbance"]: curve["levels"] for curve in second}
    assert [step["accuracy"] for step in curves["dark"]] == [1.0, 0.0, 0.0, 0.0]
    assert [step["accuracy"] for step in curves["blur"]] == [1.0] * 4
    assert curves["blur"][0]["accuracy_ci95"] == wilson_interval(8, 8)
    assert curves["blur"][0]["n"] == 8
