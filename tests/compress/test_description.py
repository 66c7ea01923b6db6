import numpy as np
import pytest

from edge_fer.compress.description import read_description
from edge_fer.errors import EdgeFerError
from edge_fer.preprocess import Preprocessing, normalise

GOOD = """
schema = "edge-fer/model/1"
labels = ["happy", "sad"]
output = "probabilities"
licence = "mine"
[input]
height_px = 32
width_px = 24
color = "rgb"
layout = "NHWC"
scale = [0.1, 0.2, 0.3]
offset = [-1.0, 0.0, 1.0]
"""


def described(folder, text=GOOD):
    file = folder / "model.toml"
    file.write_text(text)
    return read_description(file)


def test_a_description_is_read(tmp_path):
    found = described(tmp_path)
    assert found.labels == ("happy", "sad")
    assert (found.output, found.layout, found.licence) == ("probabilities", "NHWC", "mine")
    assert (found.input_shape, found.input_nchw) == ((1, 32, 24, 3), (1, 3, 32, 24))
    assert found.preprocessing.crop_scale == Preprocessing().crop_scale


@pytest.mark.parametrize(
    "scaling",
    [
        "range = [0.0, 1.0]",
        "range = [-1.0, 1.0]",
        "range = [0, 255]",
        "scale = 0.0171\noffset = -2.1",
        "scale = [0.1, 0.2, 0.3]\noffset = [-1.0, 0.0, 1.0]",
    ],
)
def test_our_input_times_gain_plus_shift_is_what_the_model_expects(tmp_path, scaling):
    old = "scale = [0.1, 0.2, 0.3]\noffset = [-1.0, 0.0, 1.0]"
    found = described(tmp_path, GOOD.replace(old, scaling))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 24, 3), np.uint8)
    expected = found.values(pixels)
    np.testing.assert_allclose(
        normalise(pixels) * found.gain + found.shift, expected, rtol=1e-5, atol=1e-4
    )


def test_our_own_normalisation_needs_no_operator(tmp_path):
    text = GOOD.replace("scale = [0.1, 0.2, 0.3]", "scale = 0.0078125")
    ours = described(tmp_path, text.replace("offset = [-1.0, 0.0, 1.0]", "offset = -1.0"))
    assert ours.is_ours
    assert not described(tmp_path).is_ours


def test_values_have_the_layout_of_the_model(tmp_path):
    pixels = np.zeros((2, 32, 24, 3), np.uint8)
    assert described(tmp_path).values(pixels).shape == (2, 32, 24, 3)
    first = described(tmp_path, GOOD.replace("NHWC", "NCHW"))
    assert first.values(pixels).shape == (2, 3, 32, 24)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("model/1", "model/2"),
        ('labels = ["happy", "sad"]', ""),
        ('["happy", "sad"]', '["happy"]'),
        ('["happy", "sad"]', '["happy", "happy"]'),
        ('["happy", "sad"]', '"happy"'),
        ("probabilities", "scores"),
        ("[input]", "[inputs]"),
        ("height_px = 32", ""),
        ("height_px = 32", "height_px = 0"),
        ("height_px = 32", 'height_px = "big"'),
        ('"rgb"', '"bgr"'),
        ("NHWC", "HWC"),
        ("scale = [0.1, 0.2, 0.3]", "scale = [0.1, 0.2]"),
        ("scale = [0.1, 0.2, 0.3]", "scale = [0.1, 0.0, 0.3]"),
        ("scale = [0.1, 0.2, 0.3]", 'scale = "0.1"'),
        ("scale = [0.1, 0.2, 0.3]", "scale = nan"),
        ("scale = [0.1, 0.2, 0.3]", "range = [0.0, 1.0]"),
        ("offset = [-1.0, 0.0, 1.0]", "offset = -1.0"),
        ("offset = [-1.0, 0.0, 1.0]", "shift = -1.0"),
        ("schema =", "schema ="[:-1]),
    ],
)
def test_a_bad_description_is_refused_in_one_line(tmp_path, old, new):
    assert old in GOOD
    with pytest.raises(EdgeFerError, match=r"model\.toml"):
        described(tmp_path, GOOD.replace(old, new, 1))


def test_a_missing_description_is_refused_by_name(tmp_path):
    with pytest.raises(EdgeFerError, match=r"none\.toml"):
        read_description(tmp_path / "none.toml")
