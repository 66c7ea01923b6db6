import pytest

from edge_fer.compress.ranges import Method
from edge_fer.compress.recipe import Recipe, read_recipe, split_steps
from edge_fer.errors import EdgeFerError
from edge_fer.resources import find_resource, resource_names

GOOD = """
schema = "edge-fer/recipe/1"
[calibration]
images = 300
seed = 4
method = "min_max"
[audit]
allowed_float_operators = ["SOFTMAX"]
"""


def recipe_file(folder, text, name="static_wi8_ai8"):
    file = folder / f"{name}.toml"
    file.write_text(text)
    return file


def test_a_recipe_is_read_with_its_name_from_the_file(tmp_path):
    assert read_recipe(recipe_file(tmp_path, GOOD)) == Recipe(
        name="static_wi8_ai8", images=300, seed=4, allowed_float_operators=("SOFTMAX",)
    )


@pytest.mark.parametrize("name", resource_names("recipe"))
def test_every_shipped_recipe_reads(name):
    assert read_recipe(find_resource("recipe", name)).name == name


@pytest.mark.parametrize(
    "name",
    [
        "static_wi4_ai8",
        "dynamic_wi8_ai8",
        "mine",
        "static_wi8_ai8x",
        "fp16_bias",
        "static_wi8_ai16",
    ],
)
def test_a_name_that_does_not_decode_is_refused(tmp_path, name):
    with pytest.raises(EdgeFerError, match=name):
        read_recipe(recipe_file(tmp_path, GOOD, name))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('schema = "edge-fer/recipe/1"', ""),
        ("recipe/1", "recipe/2"),
        ("[calibration]", "[calibrate]"),
        ("[audit]", "[audits]"),
        ("images = 300", ""),
        ("images = 300", "images = 0"),
        ("images = 300", 'images = "many"'),
        ("images = 300", "images = [3]"),
        ("seed = 4", ""),
        ("seed = 4", 'seed = "x"'),
        ("seed = 4", "seed = -1"),
        ('method = "min_max"', ""),
        ("min_max", "moving_average"),
        ("allowed_float_operators", "allowed"),
        ('["SOFTMAX"]', '"SOFTMAX"'),
        ('["SOFTMAX"]', "3"),
        ("images = 300", "images = "),
    ],
)
def test_a_bad_field_is_refused(tmp_path, old, new):
    assert old in GOOD
    with pytest.raises(EdgeFerError):
        read_recipe(recipe_file(tmp_path, GOOD.replace(old, new)))


def test_a_recipe_that_is_missing_or_no_text_is_refused_by_name(tmp_path):
    with pytest.raises(EdgeFerError, match=r"none\.toml"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EdgeFerError, match=r"bytes\.toml"):
        read_recipe(tmp_path / "bytes.toml")


@pytest.mark.parametrize("name", resource_names("recipe"))
def test_every_shipped_recipe_says_for_what_and_when(name):
    recipe = read_recipe(find_resource("recipe", name))
    assert recipe.devices and recipe.choose_when


@pytest.mark.parametrize(
    ("name", "mode", "precision", "is_calibrated"),
    [
        ("static_wi8_ai8", "static", "int8", True),
        ("static_wi8_ai8_bias", "static", "int8", True),
        ("mixed_wi8_ai8", "mixed", "mixed", True),
        ("dynamic_wi8", "dynamic", "wi8", False),
        ("fp16", "fp16", "fp16", False),
    ],
)
def test_a_name_decodes(name, mode, precision, is_calibrated):
    recipe = Recipe(name=name)
    assert (recipe.mode, recipe.precision, recipe.is_calibrated) == (mode, precision, is_calibrated)


@pytest.mark.parametrize(
    ("name", "steps", "rest"),
    [
        ("prune50_static_wi8_ai8", ("prune50",), "static_wi8_ai8"),
        ("qat_wi8_ai8", ("qat",), "static_wi8_ai8"),
        ("qat_static_wi8_ai8_bias", ("qat",), "static_wi8_ai8_bias"),
        ("prune25_qat_wi8_ai8", ("prune25", "qat"), "static_wi8_ai8"),
        ("prune5_fp16", ("prune5",), "fp16"),
        ("fp16", (), "fp16"),
        ("prune0_fp16", (), "prune0_fp16"),
    ],
)
def test_steps_before_quantization_are_split_off(name, steps, rest):
    assert split_steps(name) == (steps, rest)


def test_training_for_integers_is_not_for_float_activations():
    with pytest.raises(EdgeFerError, match="integer activations"):
        split_steps("qat_fp16")


def test_a_static_recipe_has_a_mixed_form():
    recipe = Recipe(name="static_wi8_ai8_bias", bias_correction=True).mixed()
    assert (recipe.mode, recipe.bias_correction) == ("mixed", True)
    with pytest.raises(EdgeFerError, match="fp16"):
        Recipe(name="fp16").mixed()


def test_percentile_and_bias_correction_are_read(tmp_path):
    text = GOOD.replace('"min_max"', '"percentile"\npercentile = 99.9\nbias_correction = true')
    recipe = read_recipe(recipe_file(tmp_path, text))
    assert recipe.method == Method(name="percentile", percentile=99.9)
    assert recipe.bias_correction


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("static_wi8_ai8", '"min_max"', '"percentile"'),
        ("static_wi8_ai8", '"min_max"', '"mse"\npercentile = 99'),
        ("static_wi8_ai8", '"min_max"', '"min_max"\nbias_correction = 1'),
        ("static_wi8_ai8", '"min_max"', '"min_max"\nequalisation = true'),
        ("static_wi8_ai8_bias", "", ""),
        ("fp16", "", ""),
    ],
)
def test_keys_that_do_not_fit_are_refused(tmp_path, name, old, new):
    with pytest.raises(EdgeFerError):
        read_recipe(recipe_file(tmp_path, GOOD.replace(old, new) if old else GOOD, name))
