import pytest

from edge_fer.data.spec import DATASETS, READERS, TERMS, read_dataset, read_faces, spec_name
from edge_fer.errors import DataError


def test_the_name_chooses_the_reader_and_the_path_is_passed_on(tiny_fer2013):
    faces = read_faces(f"fer2013:{tiny_fer2013}", "PublicTest")
    assert len(faces) == 16
    assert faces.source == "fer2013:PublicTest"


def test_a_tilde_is_the_home_folder(tiny_fer2013, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_fer2013.parent))
    assert len(read_faces("fer2013:~/fer2013.csv", "Training")) == 48


@pytest.mark.parametrize("spec", ["", "fer2013", "fer2013:", "/some/where.csv"])
def test_a_spec_without_name_and_path_shows_the_form(spec):
    with pytest.raises(DataError, match="NAME:PATH"):
        read_faces(spec, "Training")


def test_an_unknown_dataset_lists_the_known_ones():
    with pytest.raises(DataError, match=r"'mnist'.*fer2013"):
        read_faces("mnist:/tmp", "Training")


def test_the_terms_of_every_dataset_are_stated():
    assert set(TERMS) == set(READERS)


def test_every_dataset_that_gives_faces_can_also_be_listed():
    assert set(READERS) <= set(DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_every_reader_refuses_what_is_not_there_in_one_line(tmp_path, name):
    with pytest.raises(DataError) as caught:
        read_dataset(f"{name}:{tmp_path / 'nowhere'}")
    assert "nowhere" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", DATASETS)
def test_every_reader_refuses_an_empty_folder_in_one_line(tmp_path, name):
    with pytest.raises(DataError) as caught:
        read_dataset(f"{name}:{tmp_path}")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_name_chooses_how_a_dataset_is_listed(tiny_fer2013):
    dataset = read_dataset(f"fer2013:{tiny_fer2013}", strict=True)
    assert (dataset.name, len(dataset)) == ("fer2013", 80)


def test_strict_names_the_first_problem_and_how_many(pictures):
    root = pictures(["happy/1.png", "2.png"])
    assert len(read_dataset(f"folder:{root}")) == 1
    with pytest.raises(DataError, match=r"1 problem, the first: .*no class folder"):
        read_dataset(f"folder:{root}", strict=True)


@pytest.mark.parametrize("spec", ["", "folder", "folder:", "mnist:/tmp"])
def test_a_bad_spec_of_a_listing_is_refused(spec):
    with pytest.raises(DataError):
        read_dataset(spec)


def test_the_name_of_a_specification_has_no_path():
    assert spec_name("fer2013:/a:b/c") == "fer2013"
    assert spec_name("dynamic-paper:casme2:C:/x") == "dynamic-paper:casme2"
