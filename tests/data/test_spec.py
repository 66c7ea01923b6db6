import pytest

from edge_fer.data.spec import READERS, TERMS, read_faces
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
