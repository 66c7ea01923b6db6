import pytest

from edge_fer.compress.recipe import Recipe, read_recipe
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


@pytest.mark.parametrize("name", ["static_wi4_ai8", "dynamic_wi8_ai8", "mine", "static_wi8_ai8x"])
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
