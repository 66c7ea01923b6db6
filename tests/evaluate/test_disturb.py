import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.evaluate.disturb import DISTURBANCES, disturb

STEPS = [(name, level) for name, one in DISTURBANCES.items() for level in one.levels]
GEOMETRIC = ("rotation", "box aside", "box too wide", "box too tight")


@pytest.fixture
def faces():
    """Smooth random pictures: neither flat nor noise."""
    import cv2

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 8, 8), np.uint8)
    return np.stack(
        [cv2.resize(image, (48, 48), interpolation=cv2.INTER_CUBIC) for image in coarse]
    )


@pytest.mark.parametrize(("name", "level"), STEPS)
def test_every_step_changes_faces_and_keeps_their_shape(faces, name, level):
    spoilt = disturb(faces, name, level)
    assert spoilt.shape == faces.shape
    assert spoilt.dtype == np.uint8
    assert (spoilt != faces).any(axis=(1, 2)).all()


@pytest.mark.parametrize("name", DISTURBANCES)
def test_the_same_seed_spoils_alike(faces, name):
    level = DISTURBANCES[name].levels[1]
    first = disturb(faces, name, level)
    assert np.array_equal(first, disturb(faces, name, level))
    if name in ("noise", "motion blur", "occlusion", "box aside"):
        assert not np.array_equal(first, disturb(faces, name, level, seed=1))


@pytest.mark.parametrize("name", sorted(set(DISTURBANCES) - {"box aside", "box too wide"}))
def test_a_later_step_is_worse(faces, name):
    errors = [
        np.abs(disturb(faces, name, level).astype(float) - faces).mean()
        for level in DISTURBANCES[name].levels
    ]
    assert errors == sorted(errors)


@pytest.mark.parametrize("name", sorted(set(DISTURBANCES) - {"noise", "dark", "occlusion"}))
def test_a_flat_face_stays_flat(name):
    flat = np.full((3, 32, 32), 90, np.uint8)
    spoilt = disturb(flat, name, DISTURBANCES[name].levels[-1])
    assert np.abs(spoilt.astype(int) - 90).max() <= (8 if name == "JPEG" else 1)


@given(percent=st.floats(1, 60), seed=st.integers(0, 99))
def test_occlusion_covers_its_share(percent, seed):
    covered = disturb(np.zeros((1, 60, 60), np.uint8), "occlusion", percent, seed)
    assert (covered == 128).mean() == pytest.approx(percent / 100, abs=0.02)


@pytest.mark.parametrize("stops", DISTURBANCES["dark"].levels)
def test_a_stop_halves_the_light(stops):
    dark = disturb(np.full((1, 200, 200), 200, np.uint8), "dark", stops)
    assert dark.mean() == pytest.approx(200 / 2**stops, abs=0.1)


def test_a_box_too_wide_shrinks_the_face():
    face = np.zeros((1, 60, 60), np.uint8)
    face[0, 20:40, 20:40] = 255
    wide = disturb(face, "box too wide", 50)[0] > 127
    tight = disturb(face, "box too tight", 20)[0] > 127
    assert wide.any(0).sum() == pytest.approx(20 / 1.5, abs=1)
    assert tight.any(0).sum() == pytest.approx(20 / 0.8, abs=1)


@pytest.mark.parametrize("name", DISTURBANCES)
def test_color_faces_too(name):
    face = np.random.default_rng(1).integers(0, 256, (2, 24, 24, 3), np.uint8)
    assert disturb(face, name, DISTURBANCES[name].levels[0]).shape == face.shape


@pytest.mark.parametrize("name", GEOMETRIC)
def test_the_middle_stays_in_the_face(name):
    face = np.zeros((1, 61, 61), np.uint8)
    face[0, 10:51, 10:51] = 200
    assert disturb(face, name, DISTURBANCES[name].levels[-1])[0, 30, 30] == 200
