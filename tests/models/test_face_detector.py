import pytest
import torch

from edge_fer.models.face_detector import DETECTORS, TOTAL_STRIDE_PX, FaceDetector
from edge_fer.runtime.faces.decode import CHANNELS, STRIDE_PX


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return FaceDetector().eval()


@pytest.mark.parametrize(("height", "width"), [(128, 160), (256, 320), (320, 224), (32, 32)])
def test_a_cell_for_every_8_pixels(network, height, width):
    with torch.no_grad():
        raw_NCHW = network(torch.zeros(2, 1, height, width))
    assert raw_NCHW.shape == (2, CHANNELS, height // STRIDE_PX, width // STRIDE_PX)


def test_it_is_small_enough_for_150_kB(network):
    assert sum(parameter.numel() for parameter in network.parameters()) <= 120_000


def test_what_is_far_below_changes_nothing_at_the_top(network):
    torch.manual_seed(1)
    short = torch.randn(1, 1, 320, 64)
    long = torch.cat([short, torch.randn(1, 1, 10 * TOTAL_STRIDE_PX, 64)], 2)
    with torch.no_grad():
        above = network(long)[:, :, :4]
        torch.testing.assert_close(above, network(short)[:, :, :4])


def test_untrained_it_says_that_faces_are_unlikely(network):
    with torch.no_grad():
        assert network(torch.randn(1, 1, 64, 64))[:, 0].sigmoid().max() < 0.2


def test_it_is_found_by_its_name():
    assert isinstance(DETECTORS["face-detector"](), FaceDetector)
