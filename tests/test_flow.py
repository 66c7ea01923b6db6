import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.errors import DataError
from edge_fer.flow import FlowScale, flow_channels, flow_pixels, onset_apex_flow, optical_strain
from edge_fer.preprocess import normalise

SIDE, MARGIN = 96, 24
INNER = slice(16, -16)
SLOPES = st.floats(-0.5, 0.5)


def texture():
    noise = np.random.default_rng(0).random((SIDE + 2 * MARGIN,) * 2).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return (smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255


def pair(matrix):
    """A texture, and the same moved by an affine matrix about the middle of the picture."""
    big = texture()
    centre = (len(big) - 1) / 2
    about = np.array(matrix, np.float64)
    about[:, 2] += centre - about[:, :2].sum(axis=1) * centre
    moved = cv2.warpAffine(big, about, big.shape[::-1], flags=cv2.INTER_CUBIC)
    inner = slice(MARGIN, -MARGIN)
    return tuple(np.rint(x[inner, inner]).clip(0, 255).astype(np.uint8) for x in (big, moved))


def linear_flow(u_x, u_y, v_x, v_y):
    y, x = np.mgrid[:20, :30].astype(np.float64)
    return np.dstack([u_x * x + u_y * y, v_x * x + v_y * y])


@pytest.mark.parametrize("shift", [(1.5, -0.75), (-2.0, 3.0), (0.25, 0.0)])
def test_the_flow_of_a_translation_is_the_translation_and_has_no_strain(shift):
    flow = onset_apex_flow(*pair([[1, 0, shift[0]], [0, 1, shift[1]]]))
    assert flow.shape == (SIDE, SIDE, 2)
    assert flow.dtype == np.float32
    assert np.abs(flow[INNER, INNER] - shift).max() < 0.15
    assert optical_strain(flow)[INNER, INNER].mean() < 0.015


def test_the_flow_of_a_stretch_has_the_strain_of_the_stretch():
    flow = onset_apex_flow(*pair([[1.06, 0, 0], [0, 1, 0]]))
    x = np.arange(SIDE) - (SIDE - 1) / 2
    assert np.abs(flow[INNER, INNER, 0] - 0.06 * x[INNER]).max() < 0.2
    assert optical_strain(flow)[INNER, INNER].mean() == pytest.approx(0.06, abs=0.01)


def test_the_flow_of_an_expansion_has_strain_in_both_directions():
    flow = onset_apex_flow(*pair([[1.05, 0, 0], [0, 1.05, 0]]))
    mean = optical_strain(flow)[INNER, INNER].mean()
    assert mean == pytest.approx(0.05 * np.sqrt(2), abs=0.01)


def test_nothing_moves_between_a_frame_and_itself():
    onset, _ = pair([[1, 0, 0], [0, 1, 0]])
    assert not onset_apex_flow(onset, onset).any()


def test_the_flow_does_not_depend_on_the_number_of_threads():
    frames = pair([[1.02, 0.01, 1], [-0.01, 0.98, 2]])
    before = cv2.getNumThreads()
    try:
        flows = []
        for threads in (1, 2, 4):
            cv2.setNumThreads(threads)
            flows.append(onset_apex_flow(*frames))
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(flows[0], flows[1])
    assert np.array_equal(flows[0], flows[2])


def test_colour_frames_are_taken_as_gray():
    gray = pair([[1, 0, 1], [0, 1, 1]])
    colour = [np.dstack([image] * 3) for image in gray]
    assert np.array_equal(onset_apex_flow(*colour), onset_apex_flow(*gray))


@given(u_x=SLOPES, u_y=SLOPES, v_x=SLOPES, v_y=SLOPES)
@settings(deadline=None, max_examples=60)
def test_the_strain_of_a_linear_flow_is_the_formulas_value_up_to_the_border(u_x, u_y, v_x, v_y):
    expected = np.sqrt(u_x**2 + v_y**2 + (u_y + v_x) ** 2 / 2)
    strain = optical_strain(linear_flow(u_x, u_y, v_x, v_y))
    np.testing.assert_allclose(strain, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("slopes", "strain"),
    [
        ((0, 0, 0, 0), 0),
        ((0.1, 0, 0, 0), 0.1),
        ((0, 0, 0, -0.1), 0.1),
        ((0.1, 0, 0, 0.1), 0.1 * np.sqrt(2)),
        ((0, 0.1, 0, 0), 0.1 / np.sqrt(2)),
        ((0, 0.1, -0.1, 0), 0),
    ],
    ids=["translation", "stretch", "squeeze", "expansion", "shear", "rotation"],
)
def test_known_strains(slopes, strain):
    flow = linear_flow(*slopes) + np.array([3.0, -2.0])
    np.testing.assert_allclose(optical_strain(flow), strain, atol=1e-6)


def test_channels_are_u_v_and_strain_unscaled():
    flow = linear_flow(0.1, 0, 0, 0) + np.array([0.0, -2.0])
    channels = flow_channels(flow)
    assert channels.dtype == np.float32
    np.testing.assert_allclose(channels[..., :2], flow, atol=1e-6)
    np.testing.assert_allclose(channels[..., 2], 0.1, atol=1e-6)


def test_pixels_are_scaled_as_stated_and_clipped():
    scale = FlowScale(flow_px=2.0, strain=0.2)
    for u, pixel in ((0, 128), (2, 255), (-2, 1), (1, 192), (9, 255), (-9, 1)):
        pixels = flow_pixels(np.full((6, 6, 2), (u, 0.0)), scale)
        assert pixels.dtype == np.uint8
        assert pixels[3, 3].tolist() == [pixel, 128, 0]
    for slope, pixel in ((0.1, 128), (0.2, 255), (0.9, 255)):
        assert flow_pixels(linear_flow(slope, 0, 0, 0), scale)[3, 3, 2] == pixel


def test_no_motion_is_a_networks_zero():
    pixels = flow_pixels(np.zeros((6, 6, 2)), FlowScale())
    assert not normalise(pixels[..., :2]).any()


def test_frames_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"\(20, 20\) and apex of \(20, 21\)"):
        onset_apex_flow(np.zeros((20, 20), np.uint8), np.zeros((20, 21), np.uint8))
    with pytest.raises(DataError, match="16 are the least"):
        onset_apex_flow(np.zeros((15, 20), np.uint8), np.zeros((15, 20), np.uint8))
    with pytest.raises(DataError, match="above 0"):
        FlowScale(strain=0)
