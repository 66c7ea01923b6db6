"""dlib's face recognition network: computed as dlib computes it, and ready to be trained on."""

import importlib.util
import re

import numpy as np
import pytest
import torch

from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.models import build_model, face_resnet
from edge_fer.models.blocks import global_average
from edge_fer.models.face_resnet import FaceResNet, load_dlib, take_statistics

PARAMETERS_BY_LEVELS = {1: 57_543, 2: 337_319, 3: 1_158_503, 4: 4_439_271, 5: 5_619_943}
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("face_recognition_models") is None,
    reason="face_recognition_models is not installed",
)


@pytest.fixture(scope="module")
def faces_NHW():
    images = pytest.importorskip("sklearn.datasets", reason="scikit-learn has the photograph")
    cv2 = pytest.importorskip("cv2")
    gray = cv2.cvtColor(images.load_sample_image("china.jpg"), cv2.COLOR_RGB2GRAY)
    return np.stack([gray[y : y + 150, x : x + 150] for y in (0, 120, 240) for x in (40, 300)])


def as_input(faces_NHW, channels):
    x_NHW = (torch.from_numpy(faces_NHW).float() - 128) / 128
    return x_NHW[:, None].expand(-1, channels, -1, -1)


def features(network, x_NCHW):
    with torch.no_grad():
        return global_average(network.eval().blocks(network.stem(x_NCHW)))


@pytest.mark.parametrize(("levels", "count"), PARAMETERS_BY_LEVELS.items())
def test_levels_may_be_left_out(levels, count):
    network = build_model("face-resnet", num_classes=7, levels=levels)
    assert sum(p.numel() for p in network.parameters()) == count
    assert network(torch.zeros(2, 1, 112, 112)).shape == (2, 7)


@pytest.mark.parametrize("levels", [0, 6])
def test_other_levels_are_refused(levels):
    with pytest.raises(ModelError, match=f"1 to 5 levels, not {levels}"):
        FaceResNet(levels=levels)


@needs_weights
@pytest.mark.parametrize("channels", [1, 3])
def test_it_computes_what_dlib_computes(faces_NHW, channels):
    dlib = pytest.importorskip("dlib")
    path = face_resnet._weights_file()
    network = FaceResNet(in_channels=channels)
    assert load_dlib(network) == 5_581_824
    content = path.read_bytes()
    *_, last = re.finditer(rb"fc_2.{16}", content, re.DOTALL)
    metric_CD = np.frombuffer(content, "<f4", 256 * 128, last.end()).reshape(256, 128)
    theirs = dlib.face_recognition_model_v1(str(path))
    expected_ND = [theirs.compute_face_descriptor(np.stack([face] * 3, -1)) for face in faces_NHW]
    ours_NC = features(network, as_input(faces_NHW, channels)).numpy()
    np.testing.assert_allclose(ours_NC @ metric_CD, np.array(expected_ND), atol=1e-5)


@needs_weights
def test_taking_statistics_changes_nothing_but_what_training_starts_from(faces_NHW):
    network = FaceResNet(levels=3)
    load_dlib(network)
    x_NCHW = as_input(faces_NHW, 1)
    before_NC = features(network, x_NCHW)
    in_training_NC = global_average(network.train().blocks(network.stem(x_NCHW))).detach()
    assert not torch.allclose(in_training_NC, before_NC, rtol=0.1, atol=0.1)
    load_dlib(network)
    take_statistics(network, x_NCHW)
    torch.testing.assert_close(features(network, x_NCHW), before_NC, rtol=1e-3, atol=1e-4)
    in_training_NC = global_average(network.train().blocks(network.stem(x_NCHW))).detach()
    torch.testing.assert_close(in_training_NC, before_NC, rtol=1e-3, atol=1e-3)


@needs_weights
@pytest.mark.parametrize("kept", [0, 3_000_000])
def test_a_truncated_file_is_named(tmp_path, monkeypatch, kept):
    short = tmp_path / "short.dat"
    short.write_bytes(face_resnet._weights_file().read_bytes()[:kept])
    monkeypatch.setattr(face_resnet, "_weights_file", lambda: short)
    with pytest.raises(ModelError, match="not dlib's face recognition network"):
        load_dlib(FaceResNet())


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"edge-fer\[landmarks\]"):
        load_dlib(FaceResNet())
