import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.errors import EdgeFerError
from edge_fer.models import MODELS
from edge_fer.models.face_detector import DETECTORS
from edge_fer.resources import find_resource, resource_names
from edge_fer.train.configure import configure
from edge_fer.train.recipe import parse_changes, read_training_recipe

HEAD = 'schema = "edge-fer/training/1"\nsource = "this test"\n'


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", resource_names("training"))
def test_every_shipped_recipe_reads_and_names_its_source(name):
    recipe = read_training_recipe(find_resource("training", name))
    assert recipe.source
    assert recipe.model in {"", *MODELS, *DETECTORS}
    assert recipe.stages[-1].target == "labels"


def test_keys_of_the_file_are_defaults_of_its_stages(write):
    path = write(
        HEAD + "epochs = 7\nlearning_rate = 1\n[augmentation]\nflip = 0.1\nzoom = 0.3\n"
        '[[stage]]\nname = "a"\n[[stage]]\nname = "b"\nepochs = 2\naugmentation = {flip = 0.2}\n'
    )
    first, second = read_training_recipe(path).stages
    assert (first.epochs, second.epochs) == (7, 2)
    assert first.learning_rate == 1.0
    assert (first.augmentation.flip, second.augmentation.flip) == (0.1, 0.2)
    assert second.augmentation.zoom == 0.3


def test_changes_reach_all_stages_or_one(write):
    path = write(HEAD + '[[stage]]\nname = "a"\n[[stage]]\nname = "b"\n')
    changes = {"epochs": 3, "b.epochs": 4, "augmentation.flip": 0, "a.augmentation.zoom": 0.5}
    first, second = read_training_recipe(path, changes).stages
    assert (first.epochs, second.epochs) == (3, 4)
    assert first.augmentation.flip == second.augmentation.flip == 0
    assert (first.augmentation.zoom, second.augmentation.zoom) == (0.5, 0.1)


def test_a_derived_recipe_is_its_base_with_changes(write):
    base = write(HEAD + "epochs = 7\nbatch_size = 4\n", "base.toml")
    path = write(
        f'schema = "edge-fer/training/1"\nsource = "other"\nbase = "{base}"\ninput_px = 120\n'
        "[set]\nepochs = 9\n"
    )
    recipe = read_training_recipe(path, {"batch_size": 5})
    assert (recipe.name, recipe.source, recipe.input_px) == ("mine", "other", 120)
    assert (recipe.stages[0].epochs, recipe.stages[0].batch_size) == (9, 5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("schema =", "not a readable recipe"),
        ('schema = "edge-fer/training/2"', "schema"),
        ('schema = "edge-fer/training/1"', "source"),
        (HEAD + "epoch = 3", "epoch"),
        (HEAD + "epochs = 0", "epochs"),
        (HEAD + 'epochs = "many"', "epochs"),
        (HEAD + "mix = 2", "mix"),
        (HEAD + "distill_once = true\nmix = 0.5", "mix=0"),
        (HEAD + 'optimizer = "lion"', "sgd, adam"),
        (HEAD + 'trained = "tail"', "tail"),
        (HEAD + "[augmentation]\nflop = 1", "flop"),
        (HEAD + '[[stage]]\nname = "a"\nspeed = 1', "speed"),
        (HEAD + 'base = "modern"\nepochs = 3', "epochs"),
        (HEAD + 'base = "no-such-recipe"', "no-such-recipe"),
        (HEAD + 'base = "modern"\nset = 3', "set"),
    ],
)
def test_a_wrong_recipe_is_refused_with_its_file_and_key(write, text, named):
    with pytest.raises(EdgeFerError, match=named):
        read_training_recipe(write(text))


@pytest.mark.parametrize("key", ["epoch", "name", "b.epochs", "augmentation.flop"])
def test_a_change_of_nothing_is_refused(write, key):
    with pytest.raises(EdgeFerError, match=key.rpartition(".")[2]):
        read_training_recipe(write(HEAD), {key: 1})


@given(st.dictionaries(st.from_regex(r"[a-z_.]{1,9}", fullmatch=True), st.floats(0, 9)))
def test_changes_are_read_as_they_are_written(changes):
    assert parse_changes([f"{key}={value!r}" for key, value in changes.items()]) == changes


def test_a_change_without_a_value_is_refused():
    with pytest.raises(EdgeFerError, match="KEY=VALUE"):
        parse_changes(["epochs"])


def test_the_users_choice_goes_before_the_recipes():
    chosen = configure("emonas_ck-plus", {}, model="emonas", data="x:y", input_px=48)
    assert chosen.input_px == 48
    assert configure("emonas_ck-plus", {}, model="emonas", data="x:y").input_px == 120


def test_a_recipe_on_pretrained_weights_asks_for_them():
    with pytest.raises(EdgeFerError, match="--pretrained FILE"):
        configure("patt-lite_fer2013", {}, model="patt-lite", data="x:y")
    scratch = configure("patt-lite_fer2013", {}, model="patt-lite", data="x:y", pretrained="none")
    assert scratch.pretrained is None


def test_a_recipe_that_distils_asks_for_teachers():
    with pytest.raises(EdgeFerError, match="--teacher"):
        configure("distill", {}, model="arch-1", data="x:y")


def test_values_are_json_or_text():
    texts = ["attention=none", "size=64", 'genotype={"cells": 5}', "empty="]
    assert parse_changes(texts) == {
        "attention": "none",
        "size": 64,
        "genotype": {"cells": 5},
        "empty": "",
    }
