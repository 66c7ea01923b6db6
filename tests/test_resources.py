import pytest

from edge_fer.errors import EdgeFerError
from edge_fer.resources import FOLDERS, find_resource, resource_names

SHIPPED = [(kind, name) for kind in FOLDERS for name in resource_names(kind)]


def test_at_least_the_default_recipe_and_bundle_are_shipped():
    assert ("recipe", "static_wi8_ai8") in SHIPPED
    assert ("bundle", "small") in SHIPPED


@pytest.mark.parametrize(("kind", "name"), SHIPPED, ids="-".join)
def test_every_shipped_file_is_found_by_name_and_by_path(kind, name):
    path = find_resource(kind, name)
    assert path.exists()
    assert find_resource(kind, str(path)) == path


@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.parametrize("name", ["nothing-of-that-name", "./nothing.toml"])
def test_an_unknown_name_lists_what_is_shipped(kind, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgeFerError) as caught:
        find_resource(kind, name)
    assert all(known in str(caught.value) for known in resource_names(kind))


def test_a_path_of_ones_own_is_taken_as_it_is(tmp_path, monkeypatch):
    own = tmp_path / "mine.toml"
    own.write_text("x")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_resource("recipe", "mine.toml").samefile(own)
    assert find_resource("recipe", "~/mine.toml") == own


def test_a_shipped_name_wins_over_a_file_of_the_same_name_in_the_current_folder(
    tmp_path, monkeypatch
):
    (tmp_path / "static_wi8_ai8").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert find_resource("recipe", "static_wi8_ai8").suffix == ".toml"
