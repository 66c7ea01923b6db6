import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_fer.dynamic_image import (
    MID_VALUE,
    SlidingDynamicImage,
    dynamic_image,
    frame_weights,
    rank_pool,
    rescale,
)
from edge_fer.errors import DataError, ModelError

BOTH = pytest.mark.parametrize(("weighting", "less"), [("paper", 0), ("bilen", 1)])
CLIPS = hnp.arrays(
    np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 5), st.integers(1, 5), st.just(3))
)
WEIGHTING = st.sampled_from(["paper", "bilen"])


def clip(frames, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, *shape), np.uint8)


def by_the_formula(frames, less):
    """Eq. 1-5 one by one, without arrays of weights."""
    q = len(frames)
    total = np.zeros(frames.shape[1:])
    for p in range(1, q + 1):
        weight = 0.0
        for rank in range(p, q + 1):
            weight += (2 * rank - q - less) / rank
        total += frames[p - 1].astype(np.float64) * weight
    return total


def test_the_weights_of_three_frames_are_those_worked_out_by_hand():
    np.testing.assert_allclose(frame_weights(3, "paper"), [0.5, 1.5, 1.0], atol=1e-12)
    np.testing.assert_allclose(frame_weights(3, "bilen"), [-4 / 3, 2 / 3, 2 / 3], atol=1e-12)


@BOTH
@pytest.mark.parametrize("frames", [1, 2, 7, 150])
def test_the_weights_follow_their_closed_form(weighting, less, frames):
    harmonic = np.concatenate([[0], np.cumsum(1 / np.arange(1, frames + 1))])
    p = np.arange(1, frames + 1)
    closed = 2 * (frames - p + 1) - (frames + less) * (harmonic[frames] - harmonic[p - 1])
    np.testing.assert_allclose(frame_weights(frames, weighting), closed, atol=1e-9)


@pytest.mark.parametrize("frames", [1, 2, 7, 150])
def test_paper_weights_add_up_to_the_frames_and_bilen_weights_to_nothing(frames):
    assert frame_weights(frames, "paper").sum() == pytest.approx(frames)
    assert frame_weights(frames, "bilen").sum() == pytest.approx(0, abs=1e-9)


@BOTH
@pytest.mark.parametrize("shape", [(9, 11), (9, 11, 3)])
@pytest.mark.parametrize("frames", [2, 16, 120])
def test_the_sum_is_that_of_a_plain_loop(weighting, less, shape, frames):
    frames_THWC = clip(frames, *shape)
    expected = by_the_formula(frames_THWC, less)
    np.testing.assert_allclose(rank_pool(frames_THWC, weighting), expected, rtol=1e-6, atol=1e-6)
    low, high = expected.min(), expected.max()
    pixels = dynamic_image(frames_THWC, weighting)
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, (expected - low) / (high - low) * 255, atol=0.5 + 1e-6)


@given(frames=CLIPS, factor=st.floats(-4, 4), weighting=WEIGHTING, data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_sum_is_linear_in_the_frames(frames, factor, weighting, data):
    others = data.draw(hnp.arrays(np.uint8, frames.shape))
    mixed = rank_pool(frames + factor * others.astype(np.float64), weighting)
    apart = rank_pool(frames, weighting) + factor * rank_pool(others, weighting)
    np.testing.assert_allclose(mixed, apart, rtol=1e-9, atol=1e-6)


@given(frame=hnp.arrays(np.uint8, (4, 5)), frames=st.integers(1, 200))
@settings(deadline=None, max_examples=60)
def test_a_still_clip_vanishes_under_bilen_and_stays_itself_under_paper(frame, frames):
    still = np.repeat(frame[np.newaxis], frames, axis=0)
    assert (dynamic_image(still, "bilen") == MID_VALUE).all()
    np.testing.assert_allclose(rank_pool(still, "paper"), frames * frame.astype(float), atol=1e-6)
    alone = rescale(frame.astype(float)).astype(int)
    np.testing.assert_allclose(dynamic_image(still, "paper"), alone, atol=1)


@given(frames=CLIPS, weighting=WEIGHTING)
@settings(deadline=None, max_examples=60)
def test_the_picture_spans_the_full_range_or_is_the_middle_value(frames, weighting):
    pixels = dynamic_image(frames, weighting)
    assert (int(pixels.min()), int(pixels.max())) in {(0, 255), (MID_VALUE, MID_VALUE)}


@given(frames=hnp.arrays(np.uint8, (2, 4, 5)))
def test_two_frames_backwards_are_the_negative_under_bilen(frames):
    backwards = rank_pool(frames[::-1], "bilen")
    np.testing.assert_allclose(backwards, -rank_pool(frames, "bilen"), atol=1e-9)


def test_the_smallest_change_in_a_long_clip_is_not_taken_for_a_still():
    frames = np.full((300, 4, 4), 255, np.uint8)
    frames[-1, 2, 3] = 254
    for weighting in ("paper", "bilen"):
        assert dynamic_image(frames, weighting)[2, 3] == 0


def test_channels_are_rescaled_together():
    frames = np.zeros((2, 2, 2, 3), np.uint8)
    frames[1, 0, 0] = 51, 102, 255
    assert dynamic_image(frames, "bilen")[0, 0].tolist() == [51, 102, 255]


@BOTH
@pytest.mark.parametrize("window", [1, 2, 13])
def test_a_sliding_window_equals_recomputation_over_thousands_of_steps(weighting, less, window):
    frames_THW = clip(3000, 5, 6)
    sliding = SlidingDynamicImage(window, weighting)
    for end, frame in enumerate(frames_THW, 1):
        picture = sliding.push(frame)
        if end < window:
            assert picture is None
        elif end < 3 * window or end % 37 == 0 or end > 2990:
            last = frames_THW[end - window : end]
            expected = by_the_formula(last, less)
            np.testing.assert_allclose(sliding.pooled(), expected, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(picture.astype(int), dynamic_image(last, weighting), atol=1)


def test_a_step_of_a_sliding_window_reserves_no_memory_for_the_sum():
    sliding = SlidingDynamicImage(3, "paper")
    for frame in clip(3, 4, 4):
        sliding.push(frame)
    first = sliding.pooled()
    sliding.push(clip(1, 4, 4, seed=1)[0])
    assert np.shares_memory(first, sliding.pooled())


def test_a_reset_forgets_frames_and_their_shape():
    sliding = SlidingDynamicImage(2, "bilen")
    for frame in clip(3, 4, 4):
        sliding.push(frame)
    sliding.reset()
    frames = clip(2, 6, 7, 3)
    assert sliding.push(frames[0]) is None
    assert np.array_equal(sliding.push(frames[1]), dynamic_image(frames, "bilen"))


def test_what_is_no_clip_or_no_weighting_is_refused():
    with pytest.raises(ModelError, match=r"'mean'.*paper, bilen"):
        dynamic_image(clip(3, 4, 4), "mean")
    with pytest.raises(DataError, match="at least one frame"):
        dynamic_image(clip(0, 4, 4), "paper")
    with pytest.raises(DataError, match="at least one frame"):
        SlidingDynamicImage(0, "paper")
    with pytest.raises(DataError, match=r"\(4, 4\)"):
        dynamic_image(clip(4, 4), "paper")
    sliding = SlidingDynamicImage(2, "paper")
    sliding.push(clip(1, 4, 4)[0])
    with pytest.raises(DataError, match=r"\(4, 5\) after \(4, 4\)"):
        sliding.push(clip(1, 4, 5)[0])
